"""Panel of a forest plot: a row for each interval, words to both sides, the null in the middle."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from landscape.plots.drawing.style import GRID, INK, Sheet


def lay_out(
    panel: Axes,
    rows: Sequence[tuple[float, str, str]],
    end: float,
    *,
    reach: float,
    negligible: float,
    label: str,
) -> None:
    """Lay out a panel of height `end`, from −reach to reach, with a band of ±negligible.

    rows: place, words to the left, words to the right.
    """
    panel.axvspan(-negligible, negligible, color=GRID, alpha=0.5, linewidth=0, zorder=0)
    panel.axvline(0, color=INK, linewidth=0.8, zorder=1)
    places, left, words = zip(*rows, strict=True)
    panel.set_yticks(places, left)
    panel.set(xlim=(-reach, reach), ylim=(end, -0.6))
    panel.set_xlabel(label)
    panel.grid(False, axis="y")
    panel.tick_params(axis="y", length=0)
    right = panel.secondary_yaxis("right")
    right.set_yticks(places, words)
    right.tick_params(axis="y", length=0, pad=8)
    right.spines["right"].set_visible(False)


def mark(label: str, colour: str, marker: str = "o", *, hollow: bool = False) -> Line2D:
    """Legend entry of a mark with its bar."""
    return Line2D(
        [], [], color=colour, marker=marker, label=label, markersize=4,
        markerfacecolor="none" if hollow else colour,
    )  # fmt: skip


def legend(page: Sheet, marks: Sequence[Line2D], small_print: str) -> None:
    """Draw the legend below the panel, under the small print."""
    page.figure.legend(
        handles=marks, loc="outside lower center", ncols=3, fontsize=7, title=small_print,
        title_fontsize=7,
    )  # fmt: skip
