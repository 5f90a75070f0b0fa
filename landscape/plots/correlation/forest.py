"""Forest plot of a grid: Ψ of every measure with its interval, beside what chance gives."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from landscape.plots.correlation.matrix import chosen_target
from landscape.plots.drawing.forest_panel import lay_out, legend, mark
from landscape.plots.drawing.style import (
    BASELINE,
    HIGHER,
    LOWER,
    NOT_SHOWN,
    PALE,
    sheet,
    styled,
    text,
)
from landscape.statistics.granulated import DOES_NOT, NEGLIGIBLE, PREDICTS, UNDECIDED
from landscape.statistics.grid_answers import Answer, GridAnswers
from landscape.statistics.network_table import MEASURE, YARDSTICK, quantity

COLOURS = {PREDICTS: LOWER, DOES_NOT: HIGHER, UNDECIDED: NOT_SHOWN, "": BASELINE}
ROW = 0.22  # inches


@styled
def forest(answers: GridAnswers, target: str = "", ax: Axes | None = None) -> Figure:
    """Ψ of each measure, the largest on top, with its 95 % interval and its null band.

    target: default the first. Filled: a verdict, blue predicts, orange does not; hollow: not
    decided. Diamonds: yardsticks, which have no verdict. Right: verdict and worst axis.

    Raises ValueError for a target that there is not.
    """
    target = chosen_target(answers, target)
    found = [
        *_sorted(answers.of(target, MEASURE)),
        *_sorted(answers.of(target, YARDSTICK)),
    ]
    page = sheet(ax, 1, columns=1, height=ROW * len(found) + 1.05)
    panel = page.axes[0]
    for y, answer in enumerate(found):
        _row(panel, y, answer)
    rows = [
        (y, text(quantity(answer.measure).label), _words(answer)) for y, answer in enumerate(found)
    ]
    lay_out(
        panel, rows, len(found) - 0.4, reach=1.05, negligible=NEGLIGIBLE,
        label=f"Ψ with the {quantity(target).label}",
    )  # fmt: skip
    small = "bars: 95 % over settings · grey: |Ψ| < 0.2 · right: verdict, and the lowest ψ"
    legend(page, _marks(), small)
    page.figure.set_label(small)
    return page.figure


def _sorted(answers: Sequence[Answer]) -> list[Answer]:
    known = [answer for answer in answers if answer.correlations.Psi.n]
    return sorted(known, key=lambda answer: -answer.correlations.Psi.tau)


def _row(panel: Axes, y: float, answer: Answer) -> None:
    found, colour = answer.correlations, COLOURS[answer.verdict]
    panel.hlines(y, *found.band, color=PALE, linewidth=6, zorder=1.5)
    panel.hlines(y, found.Psi.low, found.Psi.high, color=colour, linewidth=1.3, zorder=2)
    hollow = answer.verdict == UNDECIDED
    panel.plot(
        found.Psi.tau, y, "o" if answer.role == MEASURE else "D", color=colour, zorder=3,
        markersize=4.5, markerfacecolor=panel.get_facecolor() if hollow else colour,
    )  # fmt: skip


def _words(answer: Answer) -> str:
    worst = answer.correlations.worst
    lowest = f"{worst[0]} {worst[1].tau:+.2f}".replace("-", "−") if worst else ""
    other_way = ", the other way" if answer.goes_against else ""
    return text(f"{answer.verdict or 'yardstick'}{other_way} · {lowest}")


def _marks() -> list[Line2D]:
    return [
        mark(PREDICTS, LOWER), mark(DOES_NOT, HIGHER), mark(UNDECIDED, NOT_SHOWN, hollow=True),
        mark("yardstick", BASELINE, "D"),
        Line2D([], [], color=PALE, linewidth=6, label="95 % of permutations inside cells"),
    ]  # fmt: skip
