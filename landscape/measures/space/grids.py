"""Axes of the grid of a surface."""

from typing import Any, TypeAlias

import numpy as np

from landscape.records import Array
from landscape.utils.checks import is_sequence

Size: TypeAlias = int | tuple[int, int]
Span: TypeAlias = float | tuple[float, float] | tuple[tuple[float, float], tuple[float, float]]

MARGIN = 0.15  # of the points' extent, left free on each side


def check(size: Size, span: Span | None) -> None:
    """ValueError for sizes and spans that make no grid, or miss the origin without saying so."""
    explicit = is_sequence(span) and is_sequence(span[0])  # type: ignore[index]
    for n in _pair(size):
        if not explicit and (n < 3 or n % 2 == 0):
            raise ValueError(
                f"`size` must be odd and at least 3, so that the point is on the grid. Got {n}."
            )
        if n < 2:
            raise ValueError(f"`size` must be at least 2. Got {n}.")
    for limits in _pair(span) if span is not None else ():
        low, high = limits if explicit else (-limits, limits)
        if not (np.isfinite([low, high]).all() and low < high):
            rule = "rise from one end to the other" if explicit else "be positive"
            raise ValueError(f"`span` must {rule}. Got {span}.")


def axes(size: Size, span: Span | None, points: Array | None = None) -> tuple[Array, Array]:
    """x (nx,) and y (ny,).

    points: (k, 2), what an axis without a span shall hold; the origin is among them.
    """
    nx, ny = _pair(size)
    if span is None and points is not None:
        low, high = points.min(0), points.max(0)
        free = np.maximum(MARGIN * (high - low), 0.05 * (high - low).max())
        (x0, y0), (x1, y1) = low - free, high + free
        return _around_zero(x0, x1, nx), _around_zero(y0, y1, ny)
    (x0, x1), (y0, y1) = (
        e if is_sequence(e) else (-e, e) for e in _pair(1.0 if span is None else span)
    )
    return _zeroed(np.linspace(x0, x1, nx)), _zeroed(np.linspace(y0, y1, ny))


def _pair(value: Any) -> tuple[Any, Any]:
    return value if is_sequence(value) else (value, value)


def _zeroed(axis: Array) -> Array:
    """A zero that came out as rounding is made exact: there the point itself is asked."""
    axis[np.abs(axis) < 1e-9 * np.ptp(axis)] = 0.0
    return axis


def _around_zero(low: float, high: float, n: int) -> Array:
    """Multiples of one step that hold low ≤ 0 ≤ high; so zero itself is among them."""
    step = (high - low) / (n - 2)
    return step * (np.arange(n) - np.ceil(-low / step))
