"""Forest plot of a grid: Ψ of every measure with its interval, beside what chance gives."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from landscape.plots.correlation.matrix import chosen_target
from landscape.plots.drawing.style import (
    BASELINE,
    GRID,
    HIGHER,
    INK,
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
    panel.axvspan(-NEGLIGIBLE, NEGLIGIBLE, color=GRID, alpha=0.5, linewidth=0, zorder=0)
    panel.axvline(0, color=INK, linewidth=0.8, zorder=1)
    for y, answer in enumerate(found):
        _row(panel, y, answer)
    rows = range(len(found))
    panel.set_yticks(rows, [text(quantity(answer.measure).label) for answer in found])
    panel.set(xlim=(-1.05, 1.05), ylim=(len(found) - 0.4, -0.6))
    panel.set_xlabel(f"Ψ with the {quantity(target).label}")
    panel.grid(False, axis="y")
    panel.tick_params(axis="y", length=0)
    right = panel.secondary_yaxis("right")
    right.set_yticks(rows, [_words(answer) for answer in found])
    right.tick_params(axis="y", length=0, pad=8)
    right.spines["right"].set_visible(False)
    small = "bars: 95 % over settings · grey: |Ψ| < 0.2 · right: verdict, and the lowest ψ"
    page.figure.legend(
        handles=_handles(), loc="outside lower center", ncols=3, fontsize=7, title=small,
        title_fontsize=7,
    )  # fmt: skip
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


def _handles() -> list[Line2D]:
    def of(label: str, colour: str, marker: str = "o", face: str | None = None) -> Line2D:
        return Line2D(
            [], [], color=colour, marker=marker, label=label, markersize=4,
            markerfacecolor=face or colour,
        )  # fmt: skip

    return [
        of(PREDICTS, LOWER), of(DOES_NOT, HIGHER), of(UNDECIDED, NOT_SHOWN, face="none"),
        of("yardstick", BASELINE, "D"),
        Line2D([], [], color=PALE, linewidth=6, label="95 % of permutations inside cells"),
    ]  # fmt: skip
