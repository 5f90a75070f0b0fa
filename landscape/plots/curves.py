"""Learning curves: loss and accuracy over a run, the mean over seeds with its 95 % interval."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import (
    ByMethod,
    axis_label,
    counts,
    grouped,
    scale,
    shown,
    t_band,
)
from landscape.plots.drawing.style import drawing_of, empty, style_of, styled
from landscape.records import Array, CurvesRecord

AGAINST = {
    "epoch": "epoch",
    "grad_evals": "gradient evaluations (passes)",
    "seconds": "training time (s)",
}


@styled
def curves(
    records: ByMethod[CurvesRecord],
    quantities: Sequence[str] = ("train_loss", "test_accuracy"),
    against: str = "epoch",
    ax: Axes | Sequence[Axes] | None = None,
    *,
    baseline: str = "",
) -> Figure:
    """Draw one panel per quantity, one line per method.

    against: "epoch", "grad_evals" or "seconds". A run that stopped early or left the finite numbers
    counts in no mean: it is drawn thin, up to a cross where it ended.
    More than three methods on a figure of its own: small multiples, the baseline (default sgd, or
    the first) in grey.
    Raises ValueError for another `against`.
    """
    if against not in AGAINST:
        raise ValueError(f"`against` must be one of {', '.join(AGAINST)}. Got {against!r}.")
    groups = grouped(records, CurvesRecord)
    seeds = counts([len(runs) for runs in groups.values()], "seed")
    several = any(len(runs) > 1 for runs in groups.values())
    words = f"mean over {seeds}, band: 95 % t interval" if several else f"{seeds}: no band"
    ended = any(
        not _whole(run, quantity, runs)
        for runs in groups.values()
        for run in runs
        for quantity in quantities
        if np.isfinite(getattr(run, quantity)).any()
    )
    return curves_page(
        groups, len(quantities), lambda panel, i: _panel(panel, groups, quantities[i], against),
        words + (" · ×: where a run diverged or stopped" if ended else ""), ax=ax,
        baseline=baseline, extra=0.5,
    ).figure  # fmt: skip


def _panel(ax: Axes, groups: dict[str, list[CurvesRecord]], quantity: str, against: str) -> None:
    flat = [run for runs in groups.values() for run in runs]
    ax.set(xlabel=AGAINST[against], ylabel=axis_label(quantity, flat))
    everything = np.concatenate([getattr(run, quantity) for run in flat]).astype(float)
    if not np.isfinite(everything).any():
        empty(ax, "not computed for this task")
        return
    for method, runs in groups.items():
        with drawing_of(ax, method):
            _method(ax, method, runs, quantity, against)
    if against == "epoch":
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if quantity.endswith("loss"):
        ax.set_yscale(scale(everything))
    else:
        _zoom(ax, shown(quantity, _late(groups, quantity)))


def _whole(run: CurvesRecord, quantity: str, runs: list[CurvesRecord]) -> bool:
    """Test whether a run is as long as the longest of its method, and finite to the end."""
    longest = max(len(other.epoch) for other in runs)
    return len(run.epoch) == longest and bool(np.isfinite(getattr(run, quantity)).all())


def _late(groups: dict[str, list[CurvesRecord]], quantity: str) -> Array:
    """Everything after the first fifth of each run that is whole."""
    whole = [r for runs in groups.values() for r in runs if _whole(r, quantity, runs)]
    values = [getattr(run, quantity) for run in whole]
    return np.concatenate([np.empty(0), *(v[len(v) // 5 :] for v in values)])


def _zoom(ax: Axes, late: Array) -> None:
    """From the lowest value after the first fifth: the climb before it would hide the rest."""
    late = late[np.isfinite(late)]
    if late.size and late.max() > late.min():
        margin = 0.05 * (late.max() - late.min())
        ax.set_ylim(late.min() - margin, late.max() + margin)


def _method(ax: Axes, method: str, runs: list[CurvesRecord], quantity: str, against: str) -> None:
    style = style_of(method)
    whole = [run for run in runs if _whole(run, quantity, runs)]
    for run in runs:
        if run not in whole:
            _broken(ax, _values(run, against), shown(quantity, getattr(run, quantity)), method)
    if not whole:
        return
    x = np.mean([_values(run, against) for run in whole], axis=0)
    mean, low, high = t_band(np.stack([shown(quantity, getattr(run, quantity)) for run in whole]))
    step = max(1, len(x) // 8)
    ax.plot(x, mean, color=style.colour, marker=style.marker, markevery=step, markersize=3)
    if len(whole) > 1:
        ax.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)


def _broken(ax: Axes, x: Array, y: Array, method: str) -> None:
    keep = np.isfinite(y)
    if keep.any():
        colour = style_of(method).colour
        ax.plot(x[keep], y[keep], color=colour, linewidth=0.6)
        ax.plot(x[keep][-1:], y[keep][-1:], color=colour, marker="x", linestyle="none",
                markersize=6, markeredgewidth=1.6, zorder=4)  # fmt: skip


def _values(run: CurvesRecord, name: str) -> Array:
    return np.asarray(getattr(run, name), dtype=float)
