"""A diagonal block of a symmetric H: the known share of its trace, and random directions for the
rest.

Two directions are drawn before the basis grows. What is left of H along them follows without
another product, and says what a further basis vector is worth.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from landscape.linalg.quadratic_forms import Moments, moments, on_sphere, project_out
from landscape.linalg.subspace import MatVec, Subspace

EARLY = 2  # directions that are drawn before the basis grows
RENEWAL = 2**31 - 1  # seed of a basis's fresh vectors, which differ from those that `draw` gives
LOOKED_AT = 4  # what a basis vector takes away is averaged over the last few


class DiagonalBlock:
    """Symmetric B (d, d) with tr B = tr VBVᵀ + tr PBP, P = I − VᵀV, V the basis of a Krylov space.

    matvec: v (d,) ↦ B v, like: (d,) of its dtype and on its device; capacity: of the basis.
    draw: gives standard normal vectors (d,).
    moments: tr PBP, its variance, and how sure that is.
    """

    def __init__(self, matvec: MatVec, like: Tensor, capacity: int, draw: Callable[[], Tensor]):
        self.matvec, self.draw = matvec, draw
        self.space = Subspace(
            matvec,
            len(like),
            capacity,
            seed=RENEWAL,
            start=draw(),
            dtype=like.dtype,
            device=like.device,
        )
        self._forms: list[float] = []  # xᵀBx of the later directions, and ‖PBx‖²
        self._squares: list[float] = []
        self._products = 0.0  # Σ ‖Bx‖²
        self._captured = [0.0]  # ‖B‖² − ‖PBP‖² by the size of the basis
        self._early = [self._looked() for _ in range(EARLY)]  # x and PBx
        self.moments = self._measured()

    @property
    def known(self) -> float:
        """tr VBVᵀ."""
        return float(self.space.projected.trace())

    @property
    def draws(self) -> int:
        """Directions drawn after the basis."""
        return len(self._forms)

    @property
    def left(self) -> int:
        """The dimension of the complement."""
        return self.space.n - self.space.size

    @property
    def reach(self) -> float:
        """The sum of norms that the relative error of a product multiplies in the trace."""
        columns = torch.cat([self.space.projected, self.space.coupling[None]]).norm(dim=0)
        return float(columns.sum()) + (self._products / (EARLY + self.draws)) ** 0.5 * bool(
            self.left
        )

    def _measured(self) -> Moments:
        """The moments by the directions drawn after the basis; until there are two, by the early
        ones. Those had a say in the basis: what is left of B along them is too little.
        """
        if not self.left:
            return Moments(*np.zeros(3))
        forms, squares = self._forms, self._squares
        if len(forms) < 2:
            scales = [self.left / _square(x) for x, _ in self._early]
            early = list(zip(scales, self._early, strict=True))
            forms = [scale * _dot(x, image) for scale, (x, image) in early]
            squares = [scale * _square(image) for scale, (_, image) in early]
        return moments(np.array(forms), np.array(squares), self.left)

    @property
    def norm(self) -> float:
        """‖PBP‖ in the Frobenius norm: a direction's standard deviation but for √2."""
        count = self.draws if self.draws > 1 else EARLY
        return float(count * self.moments.variance / 2) ** 0.5

    @property
    def gain(self) -> float:
        """The expected decrease of `norm` by another basis vector."""
        norm = self.norm
        if len(self._captured) <= LOOKED_AT:
            return norm / LOOKED_AT
        taken = (self._captured[-1] - self._captured[-1 - LOOKED_AT]) / LOOKED_AT
        return norm - max(norm**2 - taken, 0.0) ** 0.5

    def grow(self) -> None:
        """Take another vector v into the basis, with one product.

        P B v is the next basis vector times its coupling, and P B P x follows for the early x.
        """
        space = self.space
        space.expand()
        outside = float(space.coupling.square().sum())
        self._captured.append(float(space.projected.square().sum()) + 2 * outside)
        v, following, beta = space.basis[-1], space.following, float(space.coupling[-1])
        for x, image in self._early:
            share = float(v @ x)
            x.sub_(v, alpha=share)
            image.sub_(v, alpha=float(v @ image)).sub_(following, alpha=beta * share)
        self.moments = self._measured()

    def look(self) -> None:
        """Draw another direction."""
        x, image = self._looked()
        self._forms.append(_dot(x, image))
        self._squares.append(_square(image))
        self.moments = self._measured()

    def _looked(self) -> tuple[Tensor, Tensor]:
        """A direction x of the complement, and P B x."""
        x = on_sphere(project_out(self.space.basis, self.draw()), self.left)
        image = self.matvec(x)
        self._products += _square(image)
        return x, project_out(self.space.basis, image).clone()


def _dot(x: Tensor, y: Tensor) -> float:
    return float((x * y).sum(dtype=torch.float64))


def _square(x: Tensor) -> float:
    return float(x.square().sum(dtype=torch.float64))
