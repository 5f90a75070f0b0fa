"""Matrix of rank correlations: a row a measure, a column an axis of the grid."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from landscape.plots.drawing.style import GREY, GRID, HIGHER, INK, LOWER, sheet, styled, text
from landscape.statistics.grid_answers import Answer, GridAnswers
from landscape.statistics.network_table import YARDSTICK, quantity
from landscape.statistics.rank_correlation import RankCorrelation

PALEST, STRONGEST = 0.12, 0.6  # opacity at ψ = 0 and at ±1: the number stays legible
GAP = 0.35  # rows between measures and yardsticks
ROW = 0.22  # inches


@styled
def matrix(answers: GridAnswers, target: str = "", ax: Axes | None = None) -> Figure:
    """ψ of each measure along each axis, and their mean Ψ; grey where 0 lies inside the interval.

    target: default the first. Orange is positive: sharper goes with worse; blue is negative.

    Raises ValueError for a target that there is not.
    """
    target = chosen_target(answers, target)
    found = answers.of(target)
    page = sheet(ax, 1, columns=1, height=ROW * len(found) + 0.75)
    panel, columns = page.axes[0], [*answers.axes, "all axes, Ψ"]
    places = [i + GAP * (answer.role == YARDSTICK) for i, answer in enumerate(found)]
    for y, answer in zip(places, found, strict=True):
        for x, correlation in enumerate(_of_row(answer, answers)):
            _cell(panel, x + 0.15 * (x == len(columns) - 1), y, correlation)
    panel.set_xticks([*range(len(columns) - 1), len(columns) - 0.85], map(text, columns))
    panel.set_yticks(places, [text(quantity(answer.measure).label) for answer in found])
    panel.set(xlim=(-0.5, len(columns) - 0.35), ylim=(places[-1] + 0.5, -0.5))
    panel.xaxis.tick_top()
    panel.tick_params(length=0)
    panel.grid(False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    words = "Kendall's τ_b where one setting varies · orange: sharper goes with worse, blue: with "
    words += "better · grey: 0 lies inside the 95 % interval · last rows: yardsticks"
    page.foot([], f"target: {quantity(target).label} · {words}")
    return page.figure


def chosen_target(answers: GridAnswers, target: str) -> str:
    """The target, or the first; ValueError for one that there is not."""
    if target and target not in answers.targets:
        raise ValueError(f"`target` must be one of {', '.join(answers.targets)}. Got {target!r}.")
    return target or answers.targets[0]


def _of_row(answer: Answer, answers: GridAnswers) -> list[RankCorrelation | None]:
    psi = dict(zip(answer.correlations.axes, answer.correlations.psi, strict=True))
    return [*(psi.get(axis) for axis in answers.axes), answer.correlations.Psi]


def _cell(panel: Axes, x: float, y: float, found: RankCorrelation | None) -> None:
    if found is None or not found.n:
        panel.text(x, y, "–", ha="center", va="center", color=GREY)
        return
    open_ = not (found.low > 0 or found.high < 0) or math.isnan(found.low)
    colour = GRID if open_ else HIGHER if found.tau > 0 else LOWER
    opacity = 0.5 if open_ else PALEST + (STRONGEST - PALEST) * abs(found.tau)
    panel.add_patch(Rectangle((x - 0.48, y - 0.45), 0.96, 0.9, color=colour, alpha=opacity, lw=0))
    words = f"{found.tau:+.2f}".replace("-", "−")
    panel.text(x, y, words, ha="center", va="center", fontsize=7, color=GREY if open_ else INK)
