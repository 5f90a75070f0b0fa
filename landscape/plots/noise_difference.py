"""Accuracy under noise on the weights minus the baseline's, paired seed by seed."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landscape.plots.drawing.bands import banded, same_axis
from landscape.plots.drawing.multiples import curves_page
from landscape.plots.drawing.prepare import conditions, counts
from landscape.plots.drawing.style import GREY, empty, style_of, styled, text
from landscape.plots.noise import level_axis, level_label
from landscape.records import Array, NoiseRecord
from landscape.records.scores import score_name, worded
from landscape.statistics.noise_curve import refuse_other_questions

BySeed = Mapping[str, Mapping[int, NoiseRecord]]


@styled
def noise_difference(
    records: BySeed, baseline: str, ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """Mean over seeds of the accuracy minus the baseline's, in points, with its 95 % t interval.

    records: method -> seed of the training -> record. The accuracy of a seed is its mean over draws
    of the noise; the difference is between runs of one seed, so a seed that the baseline lacks does
    not count. The baseline is the line at zero. More than three methods on a figure of their own:
    small multiples.

    Raises ValueError where no method shares a seed with the baseline, where two records were not
    asked the same question, and where levels differ.
    """
    found = paired_differences(records, baseline)
    flat = [record for method in found for record in records[method].values()]
    sigma = same_axis("all methods", flat, lambda record: record.sigma)
    seeds = counts([len(d) for method, d in found.items() if method != baseline], "seed")
    words = (
        f"mean over {seeds} shared with {style_of(baseline).label}",
        "band: 95 % t interval of the paired difference",
        conditions(flat),
    )

    def draw(panel: Axes, _: int) -> None:
        panel.set_xlabel(level_label(flat))
        base = style_of(baseline).label
        panel.set_ylabel(text(f"{worded('accuracy', score_name(flat))} minus {base}'s (points)"))
        panel.axhline(0.0, color=GREY, linewidth=0.8, zorder=1)
        means = [banded(panel, method, sigma, samples) for method, samples in found.items()]
        if np.isfinite(np.concatenate(means)).any():
            level_axis(panel, sigma)
        else:
            empty(panel, "not computed for this task")

    return curves_page(
        found, 1, draw, " · ".join(filter(None, words)), ax=ax, baseline=baseline
    ).figure


def paired_differences(records: BySeed, baseline: str) -> dict[str, Array]:
    """Method -> accuracy minus the baseline's of the same seed, in points, (seeds, levels).

    Methods that share no seed with the baseline are left out. Raises ValueError as the figure.
    """
    base = records.get(baseline, {})
    shared = {method: [seed for seed in found if seed in base] for method, found in records.items()}
    if not any(seeds for method, seeds in shared.items() if method != baseline):
        raise ValueError(
            f"`records` must hold runs with a seed of the baseline {baseline!r}. Got none."
        )
    return {
        method: np.stack([_difference(records[method][seed], base[seed]) for seed in seeds])
        for method, seeds in shared.items()
        if seeds
    }


def _difference(record: NoiseRecord, base: NoiseRecord) -> Array:
    refuse_other_questions(record, base)
    difference: Array = 100.0 * (record.accuracy.mean(axis=1) - base.accuracy.mean(axis=1))
    return difference
