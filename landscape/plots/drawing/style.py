"""Layout of every figure: sizes, fonts, panels, the legend and the small print below them."""

import functools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from landscape.plots.drawing.method_styles import METHOD_STYLES, OTHERS, distinct_styles, style_of
from landscape.plots.drawing.output import NotebookFigure, only_settings
from landscape.utils.text import printable_lines

P = ParamSpec("P")
R = TypeVar("R")


INK, GREY, GRID, PAPER = "#1B1F24", "#636C76", "#D8DEE4", "#FFFFFF"
# What a colour says: lower or higher than the baseline, as far as shown; not shown; the baseline;
# the other methods.
LOWER, HIGHER, NOT_SHOWN, BASELINE, PALE = "#0B62B5", "#C4460B", "#57606A", "#6B7580", "#CDD3DA"
WHITE = "#FDFDFD"  # on the surfaces: stays white where the paper turns dark
# What each colour becomes on a dark page.
DARK: dict[str, str] = {
    INK: "#E6EDF3",
    GREY: "#9AA4AF",
    GRID: "#343B44",
    PAPER: "#14181D",
    LOWER: "#6CB4FF",
    HIGHER: "#FF9457",
    NOT_SHOWN: "#9AA4AF",
    BASELINE: "#A8B2BD",
    PALE: "#3A424C",
    **{style.colour: style.dark for style in METHOD_STYLES.values()},
    **dict(OTHERS),
}
ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0  # inches, as in two-column proceedings
COLOUR_MAP = "viridis"

STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same figure on every machine
    "font.size": 8,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "hatch.linewidth": 0.4,
    "hatch.color": GREY,
}


_NARROW: ContextVar[bool] = ContextVar("narrow", default=False)


@contextmanager
def one_column() -> Iterator[None]:
    """Figures drawn within are one column wide, 3.4 inches, with a panel a row (surfaces: two)."""
    token = _NARROW.set(True)
    try:
        yield
    finally:
        _NARROW.reset(token)


def fitting(columns: int, width: float, most: int = 1) -> tuple[int, float]:
    """Columns of panels and inches of a figure: as asked, or `most` within `one_column`."""
    return (min(columns, most), ONE_COLUMN) if _NARROW.get() else (columns, width)


def even_columns(panels: int) -> int:
    """Columns of so many panels, at most four, such that none stands alone in the last row."""
    if panels <= 3:
        return max(1, panels)
    return next((c for c in (3, 4, 2) if panels % c == 0), 3 if panels % 3 > 1 else 4)


def styled(plot: Callable[P, R]) -> Callable[P, R]:
    """Draw under `STYLE`, no two methods alike, and leave matplotlib's settings as they were."""

    @functools.wraps(plot)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        first = next(iter((*args, *kwargs.values())), None)
        with only_settings(STYLE), distinct_styles(_methods(first)):
            return plot(*args, **kwargs)

    return drawn


def _methods(records: Any) -> list[str]:
    """Whom the first argument of a plot is about: a mapping by method, or the record of a study."""
    names = records if isinstance(records, Mapping) else getattr(records, "methods", ())
    return [str(name) for name in names]


def text(words: str) -> str:
    """Words as they stand: a dollar sign in a user's name starts no formula."""
    return printable_lines(words).replace("$", r"\$")


@dataclass(frozen=True)
class Sheet:
    """A figure with its panels; `own` is False where the axes are the caller's."""

    figure: Figure
    axes: list[Axes]
    own: bool

    def foot(
        self, methods: Iterable[str], words: str, *, line: bool = True, mark: bool = True
    ) -> None:
        """Draw one legend for all panels, and the small print, below them.

        line, mark: what stands for a method in the panels.
        On axes of the caller: the legend in the first panel, no small print.
        """
        handles = [handle(method, line=line, mark=mark) for method in methods if method]
        if len(handles) == 1:
            words = f"{handles[0].get_label()} · {words}"
        self.figure.set_label(words)
        words = _wrapped(words, self.figure.get_figwidth())
        if not self.own and len(handles) > 1:
            self.axes[0].legend(handles=handles, ncols=1 + (len(handles) > 5))
        elif self.own and len(handles) > 1:
            in_a_row = int(self.figure.get_figwidth() / 1.1)  # inches of a long name
            columns = -(-len(handles) // -(-len(handles) // in_a_row))
            legend = self.figure.legend(
                handles=handles, loc="outside lower center", ncols=columns, title=text(words)
            )
            legend.get_title().set(fontsize=7, color=GREY, multialignment="center")
        elif self.own:
            self.figure.supxlabel(text(words), fontsize=7, color=GREY)


def sheet(
    ax: Axes | Sequence[Axes] | None,
    panels: int,
    *,
    columns: int,
    width: float = TWO_COLUMNS,
    height: float = 2.5,
    extra: float = 0.0,
    sharex: bool = False,
    sharey: bool = False,
    projection: str | None = None,
) -> Sheet:
    """`panels` axes in rows of `columns`, each row `height` inches high, on a figure of our own.

    Raises ValueError where `ax` was given and holds another number of axes.
    """
    if ax is not None:
        axes = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
        if len(axes) != panels:
            raise ValueError(f"`ax` must hold {panels} axes, one per panel. Got {len(axes)}.")
        return Sheet(axes[0].get_figure(root=True), axes, own=False)  # type: ignore[arg-type]
    if width > ONE_COLUMN:
        columns, width = fitting(columns, width)
    rows = -(-panels // columns)
    figure = NotebookFigure(figsize=(width, rows * height + extra), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.07, h_pad=0.05)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(
        rows, columns, sharex=sharex, sharey=sharey, squeeze=False,
        subplot_kw={"projection": projection},
    ).ravel()  # fmt: skip
    for unused in grid[panels:]:
        unused.set_visible(False)
    return Sheet(figure, list(grid[:panels]), own=True)


def small_print(figure: Figure) -> str:
    """Read the text that `Sheet.foot` wrote under a figure."""
    return str(figure.get_label())


def _wrapped(words: str, inches: float) -> str:
    """Small print in as few lines as it can be, the longest of them as short as it can be, broken
    within a part only where that alone fills more than a line.
    """
    longest = int(17 * inches)  # 17 characters of 7 points to the inch
    bound = "\N{NO-BREAK SPACE}"
    parts = [p.replace(" ", bound) if len(p) <= longest else p for p in words.split(" · ")]
    whole = f"{bound}· ".join(parts)
    fewest = len(textwrap.wrap(whole, longest))
    shortest = min(longest, max(20, len(whole) // max(fewest, 1)))
    lines = next(
        found
        for width in range(shortest, longest + 1)
        if len(found := textwrap.wrap(whole, width, break_long_words=width == longest)) == fewest
    )
    return "\n".join(lines).replace(bound, " ").replace(" ·\n", "\n")


def handle(method: str, *, line: bool = True, mark: bool = True) -> Line2D:
    """Legend entry of a method."""
    style = style_of(method)
    return Line2D(
        [], [], color=style.colour, linestyle="-" if line else "none",
        marker=style.marker if mark else "none", label=text(style.label),
    )  # fmt: skip


@contextmanager
def drawing_of(ax: Axes, method: str, notes: Sequence[str] = ()) -> Iterator[None]:
    """Mark what is drawn within as this method's: its group id, which a page reads.

    notes: what to say of each point besides its place.
    """
    before = set(ax.get_children())
    yield
    for artist in ax.get_children():
        if artist not in before:
            artist.set_gid(method)
            artist.set_label("_" + "\n".join(notes))


def empty(ax: Axes, words: str) -> None:
    """Say in a panel why nothing is drawn there."""
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, text(words), transform=ax.transAxes, ha="center", va="center", color=GREY)
