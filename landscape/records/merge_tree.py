"""Minima and saddles of values on a grid, by the merge tree of their sublevel sets.

Elder rule: where components meet, all but the one with the lowest minimum end, and the height from
their minimum to that saddle is their persistence (Edelsbrunner, Letscher & Zomorodian, 2002). What
is found is of the grid: a minimum of a plane through a loss is no minimum of the loss.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from landscape.records.record import Array

# Neighbours of a point: the grid's four; with one diagonal, the triangulation on which sub- and
# superlevel sets agree; with both.
STEPS = {
    4: ((0, 1), (1, 0)),
    6: ((0, 1), (1, 0), (1, 1)),
    8: ((0, 1), (1, 0), (1, 1), (1, -1)),
}


@dataclass(frozen=True, eq=False)
class MergeTree:
    """Minima of a grid, the lowest first, and the saddles at which their basins meet a lower one.

    minima, saddles: their grid indices, (k, 2); the saddle of the lowest is (−1, −1).
    persistence: value of the saddle less that of the minimum, (k,); ∞ for the lowest.
    first_merge: value at which the basin meets any other, less that of the minimum, (k,).
    on_border: the minimum lies on the edge of the grid and may go on outside, (k,).
    span: difference of the largest and smallest finite value. neighbours: 4, 6 or 8.
    """

    minima: Array
    saddles: Array
    persistence: Array
    first_merge: Array
    on_border: Array
    span: float
    neighbours: int

    @property
    def smad(self) -> float:
        """Saddle-minimum average distance: mean height from each minimum to the first saddle of its
        basin (Landscaper's measure, on this tree); NaN for one minimum.
        """
        finite = self.first_merge[np.isfinite(self.first_merge)]
        return float(finite.mean()) if finite.size else float("nan")

    def above(self, noise: float) -> Array:
        """Select the minima whose persistence is more than `noise`, (k,) booleans."""
        chosen: Array = self.persistence > noise
        return chosen


def merge_tree(values: Array, neighbours: int = 6) -> MergeTree:
    """Sweep the values (nx, ny) upward; equal ones in the order of their places.

    Values that are not finite are the highest. Minima of persistence 0 are left out: a plateau is
    one minimum. neighbours: 4, 6 (the grid with one diagonal) or 8.

    Raises ValueError for another number of neighbours, or where no value is finite.
    """
    if neighbours not in STEPS:
        raise ValueError(f"`neighbours` must be 4, 6 or 8. Got {neighbours}.")
    heights = np.where(np.isfinite(values), values, np.inf).ravel()
    if not np.isfinite(heights).any():
        raise ValueError("A merge tree needs a finite value. Got none.")
    order = np.argsort(heights, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    parent = np.full(len(order), -1)
    lowest: dict[int, int] = {}  # root of a component -> its minimum
    saddle: dict[int, int] = {}  # minimum -> where its component ended
    first: dict[int, float] = {}  # minimum -> where its component first met another
    for vertex in order.tolist():
        roots = {_root(parent, v) for v in _around(vertex, values.shape, neighbours)
                 if parent[v] >= 0}  # fmt: skip
        parent[vertex] = vertex
        if not roots:
            lowest[vertex] = vertex
            continue
        elder, *others = sorted(roots, key=lambda root: rank[lowest[root]])
        parent[vertex] = elder
        for root in others:
            parent[root] = elder
            saddle[lowest[root]] = vertex
            for minimum in (lowest.pop(root), lowest[elder]):
                first.setdefault(minimum, float(heights[vertex]))
    return _tree(values, heights, neighbours, order[0], saddle, first)


def _tree(
    values: Array,
    heights: Array,
    neighbours: int,
    bottom: int,
    saddle: dict[int, int],
    first: dict[int, float],
) -> MergeTree:
    """The tree without minima of persistence 0."""
    with np.errstate(invalid="ignore"):
        kept = [m for m in saddle if heights[saddle[m]] > heights[m]]
    minima = [int(bottom), *sorted(kept, key=lambda m: (heights[m], m))]
    ends = [-1, *(saddle[m] for m in minima[1:])]
    tops = np.array([np.inf, *(heights[v] for v in ends[1:])])
    starts = heights[minima]
    merges = np.array([first.get(m, np.inf) for m in minima])
    if len(minima) == 1:
        merges[:] = np.inf
    shape = values.shape
    places = np.stack(np.unravel_index(minima, shape), axis=1)
    finite = heights[np.isfinite(heights)]
    return MergeTree(
        minima=places,
        saddles=np.array([(-1, -1), *(np.unravel_index(v, shape) for v in ends[1:])], dtype=int),
        persistence=tops - starts,
        first_merge=merges - starts,
        on_border=((places == 0) | (places == np.array(shape) - 1)).any(axis=1),
        span=float(finite.max() - finite.min()),
        neighbours=neighbours,
    )


def _around(vertex: int, shape: tuple[int, ...], neighbours: int) -> Iterator[int]:
    i, j = divmod(vertex, shape[1])
    for di, dj in STEPS[neighbours]:
        for x, y in ((i + di, j + dj), (i - di, j - dj)):
            if 0 <= x < shape[0] and 0 <= y < shape[1]:
                yield x * shape[1] + y


def _root(parent: Array, vertex: int) -> int:
    """The component's root, halving the path to it."""
    while parent[vertex] != vertex:
        parent[vertex] = parent[parent[vertex]]
        vertex = int(parent[vertex])
    return vertex
