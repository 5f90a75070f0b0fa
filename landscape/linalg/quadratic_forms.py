"""The mean of xᵀAx over random directions, with its error: what traces and densities rest on.

For x uniform on the sphere of radius √d in d dimensions, whatever the basis, E[xᵀAx] = tr A and
Var[xᵀAx] = 2d/(d + 2)·(‖A‖² − tr(A)²/d) in the Frobenius norm, and ‖A‖² = E‖Ax‖² comes with the
same products. That variance is far surer than the scatter of a few xᵀAx: where one eigenvalue
dominates A, ten draws cover the truth in 94 % of cases instead of 86 %.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscape.linalg import probes
from landscape.linalg.space import Space

Floats = NDArray[np.float64]

LEVEL = 0.95  # of every interval


class Estimate(NamedTuple):
    """A mean of forms, (...): its standard error, and half the width of its 95 % interval."""

    value: Floats
    stderr: Floats
    half: Floats


class Moments(NamedTuple):
    """A mean of forms, (...): its variance, and the variance of that variance's estimate."""

    value: Floats
    variance: Floats
    doubt: Floats


def moments(forms: Floats, squares: Floats, d: int) -> Moments:
    """tr A from forms xᵀAx and squares ‖Ax‖², (q, ...) each, of q ≥ 2 directions.

    The variance of a form is 2d/(d + 2) times the mean of ‖(A − c)x‖², c = tr(A)/d.
    """
    q = len(forms)
    value = forms.mean(axis=0)
    centred = np.maximum(squares - 2 * value / d * forms + value**2 / d, 0.0)
    scale = 2 * d / (d + 2) / q
    return Moments(value, scale * centred.mean(axis=0), scale**2 * centred.var(axis=0, ddof=1) / q)


def interval(moments: Moments) -> Estimate:
    """The 95 % interval: Student's t with the degrees of freedom of the variance (Satterthwaite),
    2/(its relative variance).
    """
    from scipy.special import stdtrit

    value, variance, doubt = moments
    freedom = 2 * variance**2 / np.maximum(doubt, 1e-9 * variance**2 + np.finfo(float).tiny)
    stderr = np.sqrt(variance)
    return Estimate(value, stderr, stdtrit(freedom.clip(1), (1 + LEVEL) / 2) * stderr)


def estimate(forms: Floats, squares: Floats, d: int) -> Estimate:
    """tr A with its interval from forms xᵀAx and squares ‖Ax‖², (q, ...) each, q ≥ 2."""
    return interval(moments(forms, squares, d))


def spread(space: Space, like: Tensor, draws: int, seed: int) -> Iterator[Tensor]:
    """Yield `draws` vectors, of each this process's shard (local,), uniform on the sphere of radius
    √n; with dtype and device of `like`.
    """
    generator = space.generator(seed)
    for _ in range(draws):
        z = torch.randn(space.local, generator=generator, dtype=torch.float32).to(like)
        yield z * (space.n**0.5 / space.norm(z))


def numbered_directions(
    like: Tensor, seed: int, basis: Tensor | None = None
) -> Callable[[int], Tensor]:
    """Vectors (n,) by number, uniform on the sphere of radius √d, at right angles to `basis`.

    basis: (m, n) orthonormal rows, m < n; then d = n − m.
    """
    d = len(like) if basis is None else len(like) - len(basis)
    gaussian = probes.numbered_gaussians(like, seed)
    return lambda number: on_sphere(project_out(basis, gaussian(number)), d)


def on_sphere(x: Tensor, d: int) -> Tensor:
    """X (n,) with length √d."""
    return x * (d**0.5 / torch.linalg.vector_norm(x, dtype=torch.float64).to(x))


def project_out(basis: Tensor | None, v: Tensor) -> Tensor:
    """V (n,) without its part in the span of the orthonormal rows of `basis` (m, n)."""
    if basis is None:
        return v
    for _ in range(2):  # twice is enough
        v = v - basis.T @ (basis @ v)
    return v
