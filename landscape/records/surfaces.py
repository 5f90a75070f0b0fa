"""Records of the loss along lines and planes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np

from landscape.records.merge_tree import MergeTree, merge_tree
from landscape.records.record import Array, Axes, Point, Record

NAN = float("nan")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class WalkRecord(Record):
    """Fields of all grids of points in weight space.

    relative_stderr: relative standard error of the loss at w over the choice of examples. All
    points share their examples, so differences between points are known better.
    nonfinite: share of the points whose loss is NaN or infinite.
    other_point: the fields of `Point` for a second data set, evaluated at the same points.
    """

    relative_stderr: float = NAN
    nonfinite: float = NAN
    precision: str = "ieee"  # of the points: "ieee", "tf32" or "bf16"
    precision_error: float = 0.0  # largest of the loss, as a share of it, at a few points
    precision_accuracy_error: float = 0.0  # and of the accuracy there
    other_point: Mapping[str, Any] | None = None

    @property
    def other(self) -> Self | None:
        """Record of the other data; None if there is none."""
        if self.other_point is None:
            return None
        values: dict[str, Any] = {"point": Point(**self.other_point), "relative_stderr": NAN}
        for name in ("loss", "accuracy"):
            values[name] = getattr(self, f"other_{name}")
            values[f"other_{name}"] = None
        return replace(self, other_point=None, **values)


@dataclass(frozen=True, eq=False, repr=False)
class SurfaceRecord(WalkRecord):
    """Loss and accuracy on a plane: loss[i, j] at origin + x_i·d1 + y_j·d2.

    directions: how the plane was chosen; cosine: that of the angle between d1 and d2. Self-checks:
    `centre` must equal `point.loss`, `filter_ratios` be 1 for random directions, `nonfinite` small.
    """

    kind: ClassVar[str] = "surface"
    x: Annotated[Array, Axes("x")]  # (nx,)
    y: Annotated[Array, Axes("y")]  # (ny,)
    loss: Annotated[Array, Axes("x", "y")]  # (nx, ny)
    accuracy: Annotated[Array, Axes("x", "y")]  # (nx, ny) in [0, 1]
    directions: str
    cosine: float
    other_loss: Annotated[Array | None, Axes("x", "y")] = None
    other_accuracy: Annotated[Array | None, Axes("x", "y")] = None
    position: Annotated[Array | None, Axes("coordinate")] = None  # (2,) of w; None: (0, 0)
    off_plane: float = 0.0  # distance of w from the plane
    centre: float = NAN  # loss found at the grid point that is w; NaN where none is
    filter_ratios: Annotated[Array | None, Axes("direction", "extreme")] = None  # (2, 2) of
    # ‖filter of d‖ / ‖filter of w‖: the smallest and the largest, for d1 and d2
    points: Annotated[Array | None, Axes("named", "coordinate")] = None  # (k, 2) drawn over it
    point_names: Annotated[Array | None, Axes("named")] = None  # (k,)
    points_off_plane: Annotated[Array | None, Axes("named")] = None  # (k,) distances from it
    explained: Annotated[Array | None, Axes("coordinate")] = None  # (2,) share of their variance
    preview: bool = False  # interpolated between a quarter of the points
    preview_error: float | None = None  # largest relative error of the loss at 16 checked points

    def merge_tree(self, neighbours: int = 6) -> MergeTree:
        """Find the minima of the loss on this plane and the saddles between them.

        neighbours: of a point of the grid, 4, 6 or 8. They are minima of the plane, not of the
        loss.
        """
        return merge_tree(self.loss, neighbours)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RiseAreaRecord(SurfaceRecord):
    """Surface in the plane of the two largest eigenvalues, and the areas inside its contours.

    An area is that of the component of {L − L(w) < rise} that contains w, in squared Euclidean
    lengths of weight space; NaN where its contour is not closed within the plane or too small for
    the grid. `no_area` says why the middle one, at the rise that was asked for, is NaN.

    chosen: index of `rise` and `area` in `rises`; a study reads its areas at one rise, see `at`.
    """

    kind: ClassVar[str] = "rise_area"
    rises: Annotated[Array, Axes("rise")]  # (3,) half the rise, the rise, twice the rise
    areas: Annotated[Array, Axes("rise")]  # (3,)
    area_errors: Annotated[Array, Axes("rise")]  # (3,) |area − area on every second point|
    eigenvalues: Annotated[Array, Axes("coordinate")]  # (2,) of the Hessian, along x and y
    eigenvalue_bounds: Annotated[Array, Axes("coordinate")]  # (2,) error bounds of these
    no_area: str = ""
    chosen: int = field(default=1, metadata={"transient": True})

    def at(self, chosen: int) -> Self:
        """Choose another of the rises, by its index, for `rise` and `area`."""
        return replace(self, chosen=chosen)

    @property
    def rise(self) -> float:
        """Rise of the loss above its value at w."""
        return float(self.rises[self.chosen])

    @property
    def area(self) -> float:
        """Area inside the contour of the rise."""
        return float(self.areas[self.chosen])

    @property
    def height(self) -> Array:
        """L − L(w), (nx, ny)."""
        return self.loss - self.centre


@dataclass(frozen=True, eq=False, repr=False)
class ProfileRecord(WalkRecord):
    """Loss and accuracy along lines through w: loss[d, i] at w + x_i·direction_d."""

    kind: ClassVar[str] = "profile"
    x: Annotated[Array, Axes("x")]  # (s,)
    loss: Annotated[Array, Axes("line", "x")]  # (lines, s)
    accuracy: Annotated[Array, Axes("line", "x")]  # (lines, s) in [0, 1]
    directions: str
    other_loss: Annotated[Array | None, Axes("line", "x")] = None
    other_accuracy: Annotated[Array | None, Axes("line", "x")] = None


@dataclass(frozen=True, eq=False, repr=False)
class PathRecord(WalkRecord):
    """Loss and accuracy on the line from w to another point, at (1 − t)·w + t·end, or on a curve.

    length: ‖end − w‖. shape: "line", or "bezier", φ(t) = (1 − t)² w + 2t(1 − t) θ + t² end with a
    trained bend θ: then straight_loss is that on the line beside it, curve_length the curve's
    length and bend ‖θ − (w + end)/2‖. matched: the end was permuted to match w; then unmatched_loss
    is that on the line to the end as it was, unmatched_length its length. stale: batch norm used
    the statistics stored at w for all points, although they fit those weights only, so the loss is
    not that of the trained network at the other end.
    """

    kind: ClassVar[str] = "path"
    t: Annotated[Array, Axes("t")]  # (s,) from 0 to 1
    loss: Annotated[Array, Axes("t")]  # (s,)
    accuracy: Annotated[Array, Axes("t")]  # (s,) in [0, 1]
    length: float
    end: str  # what lies at t = 1
    stale: bool
    other_loss: Annotated[Array | None, Axes("t")] = None
    other_accuracy: Annotated[Array | None, Axes("t")] = None
    shape: str = "line"
    straight_loss: Annotated[Array | None, Axes("t")] = None  # (s,)
    curve_length: float | None = None
    bend: float | None = None
    matched: bool = False
    unmatched_loss: Annotated[Array | None, Axes("t")] = None  # (s,)
    unmatched_length: float | None = None

    @property
    def straight_barrier(self) -> float:
        """Barrier of the straight line to the same end."""
        return self.barrier if self.straight_loss is None else barrier(self.t, self.straight_loss)

    @property
    def unmatched_barrier(self) -> float:
        """Barrier of the straight line to the end before it was permuted; NaN where it was not."""
        return NAN if self.unmatched_loss is None else barrier(self.t, self.unmatched_loss)

    @property
    def barrier(self) -> float:
        """Barrier max_t L(t) − ((1 − t) L(0) + t L(1)), Entezari et al., ICLR 2022, definition 1.

        The maximum is over the points measured, hence at most the true height; 0 where the loss
        lies below its chord. Frankle et al., ICML 2020, subtract the mean of the ends, which is the
        same for equal ends.
        """
        return barrier(self.t, self.loss)


def barrier(t: Array, loss: Array) -> float:
    """Compute max_t L(t) − ((1 − t) L(0) + t L(1)); t and loss (s,)."""
    return float(np.max(loss - ((1 - t) * loss[0] + t * loss[-1])))
