"""Planes through weight space, and what to lay them through."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.space import filters
from landscape.objective.objective import Objective

Writer = Callable[[Tensor], Tensor]  # writes a point (n,) into a tensor, and returns it
ROUNDING = 1e-12  # of a sum that cancels: what is smaller is zero
SLAB = 2**16  # numbers that stay in a cache as float64


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
            if not all(bool(end.isfinite()) for end in v.aminmax()):
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
        vectors = self.origin, self.d1, self.d2
        moved = [v.detach().to(w) for v in vectors]
        if all(new is old for new, old in zip(moved, vectors, strict=True)):
            return self
        origin, d1, d2 = moved
        return Plane(origin, d1, d2, self.explained, self.through_minima)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Project points (k, n): coordinates (k, 2) of the nearest points of the plane, and how
        far they are from it (k,), both float64 on the CPU.
        """
        coordinates, distances = [], []
        for point in points:
            point = point.to(self.origin)
            if torch.equal(point, self.origin):
                coordinates.append(self.origin.new_zeros(2, dtype=torch.float64))
                distances.append(self.origin.new_zeros((), dtype=torch.float64))
                continue
            offset = point - self.origin
            found = torch.linalg.solve(self._gram, _products([self.d1, self.d2], [offset])[:, 0])
            x, y = found.tolist()
            squares = (
                (o.double() - x * u.double() - y * v.double()).square().sum()
                for o, u, v in _slabs(offset, self.d1, self.d2)
            )
            coordinates.append(found)
            distances.append(sum(squares, torch.zeros(())).sqrt())
        return torch.stack(coordinates).cpu(), torch.stack(distances).cpu()

    @cached_property
    def _gram(self) -> Tensor:
        """Products of the two directions, (2, 2) float64."""
        return _products([self.d1, self.d2], [self.d1, self.d2])

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the two directions; NaN if one has no length."""
        (d1_d1, d1_d2), (_, d2_d2) = self._gram.tolist()
        lengths = math.sqrt(d1_d1) * math.sqrt(d2_d2)
        return d1_d2 / lengths if lengths else math.nan


def _slabs(*vectors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same parts of vectors (n,), one after the other."""
    return zip(*(v.split(SLAB) for v in vectors), strict=True)


def _products(some: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Products of vectors (n,) with others, in float64, (some, others)."""
    total = torch.zeros(len(some), len(others), dtype=torch.float64, device=some[0].device)
    for parts in _slabs(*some, *others):
        rows = torch.stack(parts).double()
        total += rows[: len(some)] @ rows[len(some) :].T
    return total


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
    w, d1, d2 = objective.w, *probes.gaussians(objective.risk.w, 2, seed)
    filters.moved(objective)
    for d in (d1, d2):
        for view, part in zip(objective.weights.filters(d), objective.layers.values(), strict=True):
            if view is None:
                d[part] = 0.0
    of_w, of_1, of_2 = (_filters(objective, v) for v in (w, d1, d2))
    a, b, c = _orthogonal(*_products_by_filter(of_w, of_1, of_2))
    start = 0
    for g1, g2 in zip(of_1, of_2, strict=True):
        shape = (*g1.shape[:2], 1, 1)
        stop = start + shape[0] * shape[1]
        by_a, by_b, by_c = (t[start:stop].view(shape).to(w) for t in (a, b, c))
        g2.mul_(by_b).addcmul_(g1, by_c)
        g1.mul_(by_a)
        start = stop
    return Plane(w, d1, d2)


def _orthogonal(
    wanted: Tensor, squares1: Tensor, squares2: Tensor, products: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Factors a, b, c of each filter (f,): d1 = a g1 and d2 = b g2 + c g1 are orthogonal, and their
    filters as long as `wanted`. From g1·g1, g2·g2 and g1·g2 of each filter: the two vectors stay in
    the span of the filters of g1 and g2.
    """
    a, b, c = _over(wanted, squares1.sqrt()), _over(wanted, squares2.sqrt()), wanted * 0.0
    d1_d1 = wanted[squares1 > 0].square().sum()
    for last in (*[False] * 99, True):
        apart = b * b * squares2 + c * c * squares1
        squares = apart + 2 * b * c * products
        length = torch.where(squares > ROUNDING * apart, squares, 0.0).sqrt()
        b, c = b * _over(wanted, length), c * _over(wanted, length)
        d1_d2 = a @ (b * products + c * squares1)
        cosine = d1_d2 / (d1_d1.sqrt() * wanted[length > 0].norm())
        if abs(cosine) < 1e-12 or last:  # lengths hold, whatever the angle
            break
        c = c - d1_d2 / d1_d1 * a
    if not abs(cosine) < 0.5:
        raise ValueError(
            "The weights are too few for two independent directions with given filter lengths. "
            "Give a plane."
        )
    return a, b, c


def _filters(objective: Objective, v: Tensor) -> list[Tensor]:
    """Views (groups, outputs, inputs, kernel) of the parameters that have filters."""
    return [view for view in objective.weights.filters(v) if view is not None]


def _products_by_filter(*vectors: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """‖w‖, g1·g1, g2·g2 and g1·g2 of each filter of w, g1 and g2, (f,) float64."""
    found = []
    for views in zip(*vectors, strict=True):
        outputs, of_view = max(1, SLAB // max(1, views[0][0, 0].numel())), []
        for parts in zip(*(view.split(outputs, 1) for view in views), strict=True):
            w, g1, g2 = (part.double() for part in parts)
            pairs = (w, w), (g1, g1), (g2, g2), (g1, g2)
            of_view.append(torch.stack([(u * v).sum((2, 3)) for u, v in pairs]))
        found.append(torch.cat(of_view, 2).flatten(1))
    squares_of_w, of_1, of_2, of_both = torch.cat(found, 1)
    return squares_of_w.sqrt(), of_1, of_2, of_both


def _over(length: Tensor, by: Tensor) -> Tensor:
    """Divide, 0 where the divisor is."""
    return torch.where(by > 0, length / by, 0.0)


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
