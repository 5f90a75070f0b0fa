"""How every figure looks: one colour, marker and name per method everywhere, sizes, fonts, panels.

The nine colours keep a distance of 0.087 in OKLab under normal, protan, deutan and tritan vision
(`tests/plots/test_style.py`), on paper and on a dark page; the markers differ as well.
"""

import functools
import math
import textwrap
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Look:
    """Of a method: its name in text, its colour on paper and on a dark page, its marker."""

    label: str
    colour: str
    dark: str
    marker: str


LOOKS: dict[str, Look] = {
    "sgd": Look("SGD", "#7A7A7A", "#9A9A9A", "o"),
    "adamw": Look("AdamW", "#111111", "#F2F2F2", "s"),
    "sam": Look("SAM", "#0072B2", "#5996D9", "^"),
    "asam": Look("ASAM", "#56B4E9", "#53D5FF", "v"),
    "lookbehind": Look("Lookbehind", "#332288", "#6559EE", "D"),
    "lets": Look("LETS", "#CC3311", "#F26952", "P"),
    "msam": Look("mSAM", "#E69F00", "#FFA500", "X"),
    "fam": Look("FAM", "#882255", "#C2407F", "<"),
    "aace": Look("AACE", "#B8860B", "#916A0E", ">"),
}
# For names that are not among the nine: (colour, dark, marker), chosen by the name alone.
OTHERS = (
    ("#009E73", "#2FC79B", "p"),
    ("#AA4499", "#D07FC4", "h"),
    ("#8B4513", "#C98B5E", "d"),
    ("#117733", "#5FB77A", "*"),
    ("#CC6677", "#E79AA7", "8"),
)

INK, GREY, GRID, PAPER = "#1B1F24", "#636C76", "#D8DEE4", "#FFFFFF"
WHITE = "#FDFDFD"  # on the surfaces: stays white where the paper turns dark
# What each colour becomes on a dark page.
DARK: dict[str, str] = {
    INK: "#E6EDF3",
    GREY: "#9AA4AF",
    GRID: "#343B44",
    PAPER: "#14181D",
    **{style.colour: style.dark for style in LOOKS.values()},
    **{colour: dark for colour, dark, _ in OTHERS},
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


def styled(plot: Callable[P, R]) -> Callable[P, R]:
    """Draw under `STYLE`, and leave matplotlib's settings as they were."""

    @functools.wraps(plot)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
            return plot(*args, **kwargs)

    return drawn


def look(method: str) -> Look:
    """Of one of the nine, or one derived from the name alone: the same in every figure."""
    if method in LOOKS:
        return LOOKS[method]
    colour, dark, marker = OTHERS[zlib.crc32(method.encode()) % len(OTHERS)]
    return Look(" + ".join(_label(part) for part in method.split("+")), colour, dark, marker)


def _label(part: str) -> str:
    """ "SAM (wide)" of the variant sam@wide."""
    name, at, label = part.partition("@")
    known = LOOKS[name].label if name in LOOKS else name
    return f"{known} ({label.replace('-', ' ')})" if at else known


def text(words: str) -> str:
    """Words as they stand: a dollar sign in a user's name starts no formula."""
    return words.replace("$", r"\$")


@dataclass(frozen=True)
class Sheet:
    """A figure with its panels; `own` is False where the axes are the caller's."""

    figure: Figure
    axes: list[Axes]
    own: bool

    def foot(self, methods: Iterable[str], words: str) -> None:
        """One legend for all panels under small print, below them.

        On axes of the caller: the legend in the first panel, no small print.
        """
        handles = [handle(method) for method in methods if method]
        if len(handles) == 1:
            words = f"{handles[0].get_label()} · {words}"
        self.figure.set_label(words)
        words = _wrapped(words, self.figure.get_figwidth())
        if not self.own and len(handles) > 1:
            self.axes[0].legend(handles=handles)
        elif self.own and len(handles) > 1:
            columns = len(handles) if len(handles) <= 6 else (len(handles) + 1) // 2
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
) -> Sheet:
    """`panels` axes in rows of `columns`, each row `height` inches high, on a figure of our own.

    Raises ValueError where `ax` was given and holds another number of axes.
    """
    if ax is not None:
        axes = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
        if len(axes) != panels:
            raise ValueError(f"`ax` must hold {panels} axes, one per panel. Got {len(axes)}.")
        return Sheet(axes[0].get_figure(root=True), axes, own=False)  # type: ignore[arg-type]
    rows = -(-panels // columns)
    figure = Figure(figsize=(width, rows * height + extra), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.07, h_pad=0.05)  # type: ignore[union-attr, call-arg]
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False).ravel()
    for unused in grid[panels:]:
        unused.set_visible(False)
    return Sheet(figure, list(grid[:panels]), own=True)


def small_print(figure: Figure) -> str:
    """What `Sheet.foot` wrote under a figure."""
    return str(figure.get_label())


def _wrapped(words: str, inches: float) -> str:
    """Small print in few lines of about equal length, broken between its parts if it can be."""
    longest = int(17 * inches)  # 17 characters of 7 points to the inch
    width = min(longest, math.ceil(len(words) / math.ceil(len(words) / longest)) + 12)
    parts = [
        p.replace(" ", "\N{NO-BREAK SPACE}") if len(p) < width else p for p in words.split(" · ")
    ]
    lines = textwrap.wrap(" · ".join(parts), width)
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ").replace(" ·\n", "\n")


def handle(method: str) -> Line2D:
    """Legend entry of a method."""
    style = look(method)
    return Line2D([], [], color=style.colour, marker=style.marker, label=text(style.label))


def empty(ax: Axes, words: str) -> None:
    """Say in a panel why nothing is drawn there."""
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, text(words), transform=ax.transAxes, ha="center", va="center", color=GREY)
