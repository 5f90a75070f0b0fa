"""Reliability diagram: accuracy over confidence, with the expected calibration error."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped
from landscape.plots.drawing.style import GREY, drawing_of, style_of, styled
from landscape.records import CalibrationRecord
from landscape.records.outputs import bins_of_equal_width

LEAST = 10  # examples of a bin whose accuracy is drawn


@styled
def calibration(
    records: ByMethod[CalibrationRecord], ax: Axes | None = None, *, baseline: str = ""
) -> Figure:
    """Accuracy within each bin of confidence, over all seeds of a method, and the diagonal.

    Below the diagonal a network is overconfident. The area of a mark grows with the examples in its
    bin; bins of fewer than ten are left out. The small print has each method's expected calibration
    error, the mean over seeds, beside what perfect calibration would show.
    """
    groups = grouped(records, CalibrationRecord)
    flat = [record for group in groups.values() for record in group]
    bins = max(int(record.settings["bins"]) for record in flat)

    def draw(panel: Axes, _: int) -> None:
        panel.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        for method, group in groups.items():
            with drawing_of(panel, method):
                _method(panel, method, group, bins)
        panel.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))

    errors = ", ".join(
        f"{style_of(m).label} {np.mean([r.ece for r in g]):.3f}".strip() for m, g in groups.items()
    )
    floor = np.mean([record.floor for record in flat])
    seeds = counts([len(group) for group in groups.values()], "seed")
    words = (
        f"expected calibration error, {bins} bins: {errors}; perfect calibration shows {floor:.3f}",
        f"{seeds} together",
        conditions(flat),
    )
    return curves_page(
        groups, 1, draw, " · ".join(words), ax=ax, baseline=baseline, height=3.0
    ).figure


def _method(ax: Axes, method: str, group: list[CalibrationRecord], bins: int) -> None:
    confidence = np.concatenate([record.confidence for record in group])
    correct = np.concatenate([record.correct for record in group])
    bin_of = bins_of_equal_width(confidence, bins)
    count, sums, right = (
        np.bincount(bin_of, weights, minlength=bins) for weights in (None, confidence, correct)
    )
    held = count >= LEAST
    style = style_of(method)
    ax.plot(
        sums[held] / count[held], right[held] / count[held], color=style.colour, marker=style.marker
    )
