"""A subspace whose share of tr H is known, so that only the rest needs random directions.

With V (m, n) orthonormal rows and P = I − VᵀV, tr H = tr(V H Vᵀ) + tr(P H P). The error of the rest
goes with its Frobenius norm, ‖P H P‖² = ‖H‖² − 2‖V H‖² + ‖V H Vᵀ‖²: how much of it another
vector takes away is known before any direction is drawn, so the basis stops growing where
directions are cheaper, and its size tells nothing of their outcome (Persson, Cortinovis & Kressner
2022, arXiv 2109.10659, "A-Hutch++").
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape.linalg import probes
from landscape.linalg.quadratic_forms import LEVEL, project_out
from landscape.linalg.subspace import MatVec

LOOKED_AT = 4  # what a vector takes away is averaged over the last few


@dataclass(frozen=True)
class Deflation:
    """basis V, or None for no vector; known: tr(V H Vᵀ) and what was known before.

    reach: Σ ‖H v_i‖, which the relative error of a product multiplies.
    """

    basis: Tensor | None = None  # (m, n)
    known: float = 0.0
    reach: float = 0.0

    @property
    def size(self) -> int:
        """The dimension m."""
        return 0 if self.basis is None else len(self.basis)


def nothing(
    matvec: MatVec, like: Tensor, tolerance: float, most: int, seed: int, known: float = 0.0
) -> Deflation:
    """No subspace: plain Hutchinson. Arguments as for `sketch`."""
    return Deflation(known=known, reach=abs(known))


def sketch(
    matvec: MatVec, like: Tensor, tolerance: float, most: int, seed: int, known: float = 0.0
) -> Deflation:
    """The range of H on random vectors, two products a vector: Hutch++ (Meyer, Musco, Musco &
    Woodruff 2021, arXiv 2010.09649).

    like: (n,) of the dtype and on the device to work with; most: vectors at the most.
    tolerance: relative, of the interval of the trace that this is for; known: a share of that trace
    that the matvec leaves out.
    """
    basis = like.new_zeros(most, len(like))
    reach, m, captured = abs(known), 0, [0.0]
    eps = torch.finfo(like.dtype).eps
    for z in probes.gaussians(like, most, seed):
        if not _pays(captured, known, tolerance):
            break
        image = matvec(z)
        rest = project_out(basis[:m], image)
        length = torch.linalg.vector_norm(rest)
        if length <= 100 * eps * torch.linalg.vector_norm(image):
            break  # the range of H is exhausted
        basis[m] = rest / length
        product = matvec(basis[m])
        inside = (basis[: m + 1] @ product).double()
        squared = float(product.square().sum(dtype=torch.float64))
        reach += squared**0.5
        # of 2‖VH‖² − ‖VHVᵀ‖², whose second term grows by the new row and the new column
        captured.append(
            captured[-1] + 2 * squared - float(2 * inside.square().sum() - inside[-1] ** 2)
        )
        known += float(inside[-1])
        m += 1
    return Deflation(basis[:m], known, reach)


def _pays(captured: list[float], known: float, tolerance: float) -> bool:
    """Decide whether another vector saves more directions than its two products.

    An interval of ± tolerance·|known| takes 2(z/(tolerance·known))²·‖PHP‖² directions.
    """
    from scipy.special import ndtri

    if len(captured) <= LOOKED_AT or not tolerance * known:
        return True
    taken = (captured[-1] - captured[-1 - LOOKED_AT]) / LOOKED_AT
    quantile = float(ndtri((1 + LEVEL) / 2))
    return 2 * (quantile / (tolerance * known)) ** 2 * taken > 2


METHODS: dict[str, Callable[[MatVec, Tensor, float, int, int, float], Deflation]] = {
    "hutch++": sketch,
    "hutchinson": nothing,
}
