"""Sharpness over training, with the edge of stability that gradient descent rises to."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landscape.plots.drawing.levels import rounded
from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped, scale, t_band
from landscape.plots.drawing.style import INK, drawing_of, empty, sheet, style_of, styled
from landscape.records import Array, SharpnessOverTrainingRecord

PANELS = {
    "lambda_max": "λ max of the Hessian",
    "trace": "trace of the Hessian",
    "loss": "training loss",
    "grad_norm": "‖∇L‖",
    "ascent_gain": "L(w + e) − L(w)",
}
AGAINST = {"step": "step", "epoch": "epoch"}
REACH = 2.5  # times the highest λ max: a threshold beyond is put into words


@styled
def stability(
    records: ByMethod[SharpnessOverTrainingRecord],
    quantities: Sequence[str] | None = None,
    against: str = "step",
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw one panel per quantity, one line per method: mean over seeds with its 95 % t interval.

    λ max has its thresholds beside it, dashed: 2/η for gradient descent, (2 + 2β)/η with momentum.
    quantities: of `PANELS`; default those that were computed. against: "step" or "epoch".
    Looks that not all seeds of a method reached are left out.
    Raises ValueError for another quantity or `against`.
    """
    groups = grouped(records, SharpnessOverTrainingRecord)
    everything = [run for runs in groups.values() for run in runs]
    for name in quantities or ():
        if name not in PANELS:
            raise ValueError(f"`quantities` must be among {', '.join(PANELS)}. Got {name!r}.")
    if against not in AGAINST:
        raise ValueError(f"`against` must be one of {', '.join(AGAINST)}. Got {against!r}.")
    chosen = list(quantities or [n for n in PANELS if _computed(everything, n)]) or ["lambda_max"]
    columns = 2 if len(chosen) in (2, 4) else min(3, len(chosen))
    page = sheet(ax, len(chosen), columns=columns, extra=0.5)
    for panel, quantity in zip(page.axes, chosen, strict=True):
        panel.set(xlabel=AGAINST[against], ylabel=PANELS[quantity])
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if _computed(everything, quantity):
            _panel(panel, groups, quantity, against)
        else:
            empty(panel, "not computed")
    seeds = counts([len(runs) for runs in groups.values()], "seed")
    several = any(len(runs) > 1 for runs in groups.values())
    words = f"mean over {seeds}, band: 95 % t interval" if several else f"{seeds}: no band"
    parts = [words, _threshold(everything), conditions(everything)]
    page.foot(groups, " · ".join(filter(None, parts)))
    return page.figure


def _panel(
    ax: Axes,
    groups: dict[str, list[SharpnessOverTrainingRecord]],
    quantity: str,
    against: str,
) -> None:
    finite = np.concatenate([_of(run, quantity) for runs in groups.values() for run in runs])
    top = np.nanmax(np.where(np.isfinite(finite), finite, np.nan))
    for method, runs in groups.items():
        with drawing_of(ax, method):
            _line(ax, method, runs, quantity, against)
    if quantity == "lambda_max":
        _thresholds(ax, groups, against)
        edges = np.concatenate([_of(run, "threshold") for runs in groups.values() for run in runs])
        highest = np.max(edges[edges <= REACH * top], initial=1.1 * top)
        ax.set_ylim(min(0.0, float(np.nanmin(finite))), 1.1 * highest if top > 0 else None)
    elif quantity in ("loss", "grad_norm"):
        ax.set_yscale(scale(finite))


def _line(
    ax: Axes, method: str, runs: list[SharpnessOverTrainingRecord], quantity: str, against: str
) -> None:
    style, length = style_of(method), min(len(run.step) for run in runs)
    x = _of(runs[0], against)[:length]
    mean, low, high = t_band(np.stack([_of(run, quantity)[:length] for run in runs]))
    step = max(1, length // 8)
    ax.plot(x, mean, color=style.colour, marker=style.marker, markevery=step, markersize=3)
    if len(runs) > 1:
        ax.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)


def _thresholds(
    ax: Axes, groups: dict[str, list[SharpnessOverTrainingRecord]], against: str
) -> None:
    """Draw one line where all methods share it, else one each in its colour."""
    first = [runs[0] for runs in groups.values()]
    shared = all(np.array_equal(run.threshold, first[0].threshold, equal_nan=True) for run in first)
    for method, runs in groups.items():
        colour = INK if shared else style_of(method).colour
        run = runs[0]
        with drawing_of(ax, "" if shared else method):
            ax.plot(_of(run, against), run.threshold, "--", color=colour, linewidth=0.9, zorder=1)
        if shared:
            return


def _computed(runs: list[SharpnessOverTrainingRecord], quantity: str) -> bool:
    return any(bool(np.isfinite(_of(run, quantity)).any()) for run in runs)


def _threshold(runs: list[SharpnessOverTrainingRecord]) -> str:
    """Say where the stability threshold is seen, or how far above the axis it lies."""
    if not (_computed(runs, "threshold") and _computed(runs, "lambda_max")):
        return ""
    lowest = min(float(np.nanmin(r.threshold)) for r in runs if np.isfinite(r.threshold).any())
    top = max(float(np.nanmax(r.lambda_max)) for r in runs if np.isfinite(r.lambda_max).any())
    if lowest > REACH * top:
        return f"stability threshold of the base optimizer: far above, from {rounded(lowest)}"
    return "dashed: the stability threshold of the base optimizer"


def _of(run: SharpnessOverTrainingRecord, name: str) -> Array:
    """A column; NaN where it was not asked for."""
    found = getattr(run, name)
    return np.full(len(run.step), np.nan) if found is None else np.asarray(found, dtype=float)
