"""Planes through weight space, and what to lay them through."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.space import filters
from landscape.objective.objective import Objective

Writer = Callable[[Tensor], Tensor]  # writes a point (n,) into a tensor, and returns it


@dataclass(frozen=True, eq=False)
class Plane:
    """The points origin + x·d1 + y·d2; all three of shape (n,).

    It belongs to no model: it may be used for every model of the same shape.
    explained: shares of the variance of the points that it was fitted to, along d1 and d2.
    through_minima: it goes through several points, where batch norm's statistics differ.

    Raises ValueError for other shapes, for what is not finite, and for parallel directions.
    """

    origin: Tensor
    d1: Tensor
    d2: Tensor
    explained: tuple[float, float] | None = None
    through_minima: bool = False

    def __post_init__(self) -> None:
        for name in ("origin", "d1", "d2"):
            v = getattr(self, name)
            if v.dim() != 1 or v.shape != self.origin.shape:
                raise ValueError(
                    f"`{name}` must have shape (n,), as the origin. Got {tuple(v.shape)}."
                )
            if not v.isfinite().all():
                raise ValueError(f"`{name}` must be finite. Got NaN or infinite numbers.")
        if not abs(self.cosine) < 0.999:
            raise ValueError(f"`d1`, `d2` must span a plane. Got a cosine of {self.cosine:.4f}.")

    def point(self, x: float, y: float) -> Tensor:
        """(n,)."""
        (write,) = self.row(x, [y])
        return write(torch.empty_like(self.origin))

    def row(self, x: float, ys: Iterable[float]) -> Iterator[Writer]:
        """Yield for each y a function that writes the point (x, y) into a tensor (n,)."""
        return along(torch.add(self.origin, self.d1, alpha=float(x)), self.d2, ys)

    def at(self, origin: Tensor) -> "Plane":
        """The parallel plane through another point (n,)."""
        return replace(self, origin=origin, explained=None)

    def to(self, w: Tensor) -> "Plane":
        """With the device and type of numbers of `w`."""
        origin, d1, d2 = (v.detach().to(w) for v in (self.origin, self.d1, self.d2))
        return Plane(origin, d1, d2, self.explained, self.through_minima)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Project points (k, n): coordinates (k, 2) of the nearest points of the plane, and how
        far they are from it (k,), both float64 on the CPU.
        """
        basis = torch.stack([self.d1, self.d2]).double()
        coordinates, distances = [], []
        for point in points:
            offset = (point.to(self.origin) - self.origin).double()
            found = torch.linalg.solve(basis @ basis.T, basis @ offset)
            coordinates.append(found)
            distances.append((offset - found @ basis).norm())
        return torch.stack(coordinates).cpu(), torch.stack(distances).cpu()

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the two directions; NaN if one has no length."""
        d1, d2 = self.d1.double(), self.d2.double()
        return float(d1 @ d2 / (d1.norm() * d2.norm()))


def along(start: Tensor, d: Tensor, steps: Iterable[float]) -> Iterator[Writer]:
    """Yield for each step t a function that writes the point start + t·d into a tensor (n,), and
    returns it.
    """
    return (partial(_add, start, d, float(t)) for t in steps)


def _add(start: Tensor, d: Tensor, t: float, out: Tensor) -> Tensor:
    return torch.add(start, d, alpha=t, out=out)


def random_plane(objective: Objective, seed: int = 0) -> Plane:
    """Two orthogonal Gaussian directions whose filters are as long as those of the weights (Li et
    al., NeurIPS 2018, section 4).

    Zero in biases and normalisation parameters. The Gaussian numbers depend on the seed alone: the
    same for all models of one shape. Making the second orthogonal bends the filters' lengths and
    the other way round, so the two are done in turn until both hold; `cosine` says how well.

    Raises ValueError where no two such directions exist: hardly any weights.
    """
    w, groups = objective.w, filters.by_filter(objective)
    wanted = filters.length(groups, w.double()) * filters.mask(objective)

    def normalised(v: Tensor) -> Tensor:
        found = filters.length(groups, v)
        return v * torch.where(found > 0, wanted / found, 0.0)

    def cosine(a: Tensor, b: Tensor) -> float:
        return float(a @ b / (a.norm() * b.norm()))

    d1, d2 = (normalised(g.double()) for g in probes.gaussians(w, 2, seed))
    for _ in range(100):
        if abs(cosine(d1, d2)) < 1e-12:
            break
        d2 = normalised(d2 - (d2 @ d1) / (d1 @ d1) * d1)
    if not abs(cosine(d1, d2)) < 0.5:
        raise ValueError(
            "The weights are too few for two independent directions with given filter lengths. "
            "Give a plane."
        )
    return Plane(w, d1.to(w), d2.to(w))


def pca_plane(points: Tensor, origin: Tensor | None = None) -> Plane:
    """The two principal directions of points (k, n), of length one, through `origin` (n,).

    Of all planes through the points' mean this one lies nearest to them. The first point has
    negative coordinates, seen from the mean: that settles the signs.
    origin: default the mean; for a trajectory its end (Li et al. 2018, section 7), so that w is on
    the plane.

    Raises ValueError where the points lie on a line, or are fewer than three.
    """
    if points.dim() != 2 or len(points) < 3:
        raise ValueError(f"`points` must be at least three rows (k, n). Got {tuple(points.shape)}.")
    points = points.detach()
    mean = points.mean(0, dtype=torch.float64)
    gram = torch.zeros(len(points), len(points), dtype=torch.float64, device=points.device)
    for part, centre in zip(points.split(2**20, 1), mean.split(2**20), strict=True):
        centred = part.double() - centre
        gram += centred @ centred.T
    variances, vectors = torch.linalg.eigh(gram)  # rising
    if not variances[-2] > 1e-12 * variances[-1]:
        raise ValueError("`points` must span a plane. They lie on one line, or are all the same.")

    def combined(v: Tensor) -> Tensor:
        v = v if v[0] <= 0 else -v  # the first point's own coordinate is v[0] up to a length
        return sum((c * p.double() for c, p in zip(v, points, strict=True)), -v.sum() * mean)

    d1, d2 = combined(vectors[:, -1]), combined(vectors[:, -2])
    d1 = d1 / d1.norm()
    d2 = d2 - (d2 @ d1) * d1
    share = (variances / variances.sum()).tolist()
    origin = mean if origin is None else origin.detach()
    explained = share[-1], share[-2]
    return Plane(origin.to(points), d1.to(points), (d2 / d2.norm()).to(points), explained, True)


def plane_through(w1: Tensor, w2: Tensor, w3: Tensor) -> Plane:
    """The plane of three points (n,): origin w1, d1 towards w2, d2 orthogonal to it on the side of
    w3, both of length one (Garipov et al., NeurIPS 2018, appendix).

    Raises ValueError where the three lie on a line.
    """
    towards, third = (w2 - w1).double(), (w3 - w1).double()
    d1 = towards / towards.norm()
    d2 = third - (third @ d1) * d1
    if not d2.norm() > 1e-6 * third.norm():
        raise ValueError("`w1`, `w2`, `w3` must span a plane. They lie on one line.")
    return Plane(w1, d1.to(w1), (d2 / d2.norm()).to(w1), through_minima=True)
