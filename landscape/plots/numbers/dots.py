"""A number of each minimum with its own interval, a row a method: critical sharpness and others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped, scale
from landscape.plots.drawing.style import drawing_of, empty, sheet, style_of, styled, text
from landscape.records import CriticalSharpnessRecord, FisherRaoRecord, PacBayesRecord, Record
from landscape.statistics.intervals import t_quantile

Interval = tuple[float, float, float]  # value, low, high
T = TypeVar("T", bound=Record)
ROOM = 0.6  # of a row that the seeds of a method share
ROW = 0.3  # inches


@styled
def critical_sharpness(
    records: ByMethod[CriticalSharpnessRecord], ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """λ_c of each minimum with its 95 % interval over the examples, and ΔᵀHΔ/Δᵀg beside it."""
    groups = grouped(records, CriticalSharpnessRecord)
    panels: dict[str, Callable[[CriticalSharpnessRecord], Interval]] = {
        "critical sharpness λ_c": lambda r: _normal(r.value, r.stderr),
        "directional sharpness": lambda r: (r.directional, np.nan, np.nan),
    }
    directions = sorted({record.direction for group in groups.values() for record in group})
    along = f"along the {' / '.join(directions)}".replace("given", "given update")
    return _page(groups, panels, f"{along} · bars: 95 % over the examples, at a fixed update", ax)


@styled
def fisher_rao(
    records: ByMethod[FisherRaoRecord], ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """Squared Fisher-Rao norm of each minimum, with labels from the model and from the data."""
    groups = grouped(records, FisherRaoRecord)
    panels: dict[str, Callable[[FisherRaoRecord], Interval]] = {
        "squared Fisher–Rao norm, labels of the model": lambda r: _normal(r.value, r.stderr),
        "the same, labels of the data": lambda r: _normal(r.empirical, r.empirical_stderr),
    }
    return _page(groups, panels, "bars: 95 % over the examples", ax)


@styled
def pac_bayes(records: ByMethod[PacBayesRecord], ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """Largest noise σ that each minimum bears, plain and magnitude-aware: larger is flatter."""
    groups = grouped(records, PacBayesRecord)
    flat = [record for group in groups.values() for record in group]
    names = {"plain": "σ of noise on the weights", "magnitude": "σ in units of |w|"}

    def read(i: int) -> Callable[[PacBayesRecord], Interval]:
        return lambda r: (float(r.sigma[i]), float(r.low[i]), float(r.high[i]))

    panels = {names[form]: read(i) for i, form in enumerate(flat[0].forms)}
    costs = sorted({f"{r.deviation:g} of {r.quantity}" for r in flat})
    draws = counts([int(r.settings.get("draws", 0)) for r in flat], "draw")
    return _page(groups, panels, f"costs {' / '.join(costs)} · bars: 95 % over {draws}", ax)


def _normal(value: float, stderr: float) -> Interval:
    half = t_quantile(10**6) * stderr
    return value, value - half, value + half


def _page(
    groups: dict[str, list[T]],
    panels: dict[str, Callable[[T], Interval]],
    words: str,
    ax: Axes | Sequence[Axes] | None,
) -> Figure:
    height = 0.7 + ROW * len(groups)
    page = sheet(ax, len(panels), columns=min(2, len(panels)), height=height, extra=0.3)
    for panel, (label, read) in zip(page.axes, panels.items(), strict=True):
        _panel(panel, label, groups, read)
    flat = [record for group in groups.values() for record in group]
    several = max(len(group) for group in groups.values()) > 1
    parts = ("a mark per seed" if several else "", words, conditions(flat))
    page.foot([], " · ".join(filter(None, parts)))
    return page.figure


def _panel(ax: Axes, label: str, groups: dict[str, list[T]], read: Callable[[T], Interval]) -> None:
    values = np.array([read(r)[0] for group in groups.values() for r in group])
    for row, (method, group) in enumerate(groups.items()):
        style, places = style_of(method), row + ROOM * _spread(len(group))
        with drawing_of(ax, method):
            for y, record in zip(places, group, strict=True):
                value, low, high = read(record)
                if np.isfinite(value):
                    ends = [[_length(value - low)], [_length(high - value)]]
                    ax.errorbar(
                        [value], [y], xerr=ends, fmt=style.marker, color=style.colour,
                        elinewidth=0.8,
                    )  # fmt: skip
    ax.set_yticks(range(len(groups)), [text(style_of(m).label) for m in groups])
    ax.set(xlabel=label, ylim=(len(groups) - 0.5, -0.5))
    ax.grid(False, axis="y")
    if not np.isfinite(values).any():
        empty(ax, "no number was found")
    elif scale(values) == "log":
        ax.set_xscale("log")
    else:
        low, high = ax.get_xlim()
        ax.set_xlim(min(0.0, low), high + 0.05 * (high - min(0.0, low)))


def _length(distance: float) -> float:
    """Length of a bar's side; none where the interval is not known or has no end."""
    return distance if np.isfinite(distance) and distance > 0 else 0.0


def _spread(count: int) -> np.ndarray:
    return np.zeros(1) if count == 1 else np.linspace(-0.5, 0.5, count)
