"""Small multiples: where curves would tangle, each method has a panel of its own.

Every panel shows all curves, one of them in ink with its band, the baseline's in grey and the
others pale, all on the same axes.
"""

import textwrap
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D

from landscape.plots.drawing.style import (
    BASELINE,
    INK,
    PALE,
    Sheet,
    even_columns,
    fitting,
    sheet,
    style_of,
    text,
)

MANY = 3  # more methods than these, and their curves tangle
HEIGHT = 1.3  # inches of a row of panels
LETTERS = 16  # of an axis name to an inch
WIDTHS = {INK: 1.8, BASELINE: 1.4, PALE: 0.7}


def curves_page(
    methods: Iterable[str],
    quantities: int,
    draw: Callable[[Axes, int], None],
    words: str,
    *,
    ax: Axes | Sequence[Axes] | None = None,
    baseline: str = "",
    overlaid: bool = False,
    height: float = 2.5,
    extra: float = 0.6,
    small: float = HEIGHT,
    mark: bool = True,
) -> Sheet:
    """A figure of curves: one panel per quantity, or small multiples, with their small print.

    draw: all curves of quantity i on a panel, tagged by `drawing_of`, and the names of its axes.
    overlaid: one panel per quantity whatever the number of methods; so it is on axes `ax`, too.
    height, extra, mark: of the panels, of the space below, of the legend. small: height of a panel
    among small multiples.
    """
    names = list(methods)
    if ax is None and len(names) > MANY and not overlaid:
        base = baseline_of(names, baseline)
        page = multiples(names, base, quantities, draw, small)
        page.foot([], f"grey: {style_of(base).label}, pale: the others · {words}")
        return page
    page = sheet(ax, quantities, columns=min(2, quantities), height=height, extra=extra)
    for i, panel in enumerate(page.axes):
        draw(panel, i)
    page.foot(names, words, mark=mark)
    return page


def baseline_of(methods: Sequence[str], baseline: str = "") -> str:
    """The baseline among these methods: the one asked for, sgd, or the first."""
    return next((name for name in (baseline, "sgd") if name in methods), methods[0])


def multiples(
    methods: Sequence[str],
    baseline: str,
    quantities: int,
    draw: Callable[[Axes, int], None],
    height: float = HEIGHT,
) -> Sheet:
    """A block of panels per quantity, in each one panel per method but the baseline.

    draw: all curves of quantity i, tagged by `drawing_of`, with the names of the axes.
    """
    others = [method for method in methods if method != baseline]
    columns, _ = fitting(even_columns(len(others)), 0.0, most=2)
    rows = -(-len(others) // columns)
    page = sheet(None, quantities * rows * columns, columns=columns, height=height, extra=0.6)
    width = page.figure.get_figwidth() / columns
    kept = []
    for i, panel in enumerate(page.axes):
        quantity, place = divmod(i, rows * columns)
        if place >= len(others):
            panel.set_visible(False)
            continue
        draw(panel, quantity)
        focus(panel, others[place], baseline)
        panel.set_title(text(style_of(others[place]).label), fontweight="bold")
        _outer(panel, place, columns, len(others), width)
        kept.append(panel)
    return Sheet(page.figure, kept, own=True)


def focus(ax: Axes, method: str, baseline: str) -> None:
    """Draw one method in ink with its band, the baseline in grey, the others pale."""
    for artist in ax.get_children():
        owner = artist.get_gid()
        if owner:
            colour = {method: INK, baseline: BASELINE}.get(owner, PALE)
            _recolour(artist, colour)
            artist.set_zorder({INK: 3.0, BASELINE: 2.5}.get(colour, 2.0))


def _recolour(artist: Artist, colour: str) -> None:
    if isinstance(artist, Line2D):
        solid = artist.get_linestyle() == "-"
        artist.set(color=colour, visible=solid or colour == INK)
        artist.set_linewidth(WIDTHS[colour] if solid else 0.9)
        artist.set_markersize(0 if solid and not _mark_lone(artist) else 4)
    elif isinstance(artist, PolyCollection):
        artist.set(facecolor=colour, visible=colour == INK)
    elif isinstance(artist, LineCollection):
        artist.set(color=colour, visible=colour == INK)


def _mark_lone(line: Line2D) -> bool:
    """Leave marks to the points of a solid line that have no neighbour; whether there is one."""
    there = np.isfinite(np.asarray(line.get_xydata(), dtype=float)).all(axis=1)
    beside = np.pad(there, 1)
    lone = there & ~beside[:-2] & ~beside[2:]
    if line.get_linestyle() == "-" and lone.any():
        line.set_markevery(np.flatnonzero(lone).tolist())
    return bool(lone.any())


def _outer(ax: Axes, place: int, columns: int, count: int, width: float) -> None:
    """Names and numbers of the axes on the outer panels alone; the x axis is named once."""
    for note in ax.texts if place and ax.lines else []:
        note.set_visible(False)  # the first panel says it
    lowest, first = place + columns >= count, place % columns == 0
    letters = int(LETTERS * width)
    ax.tick_params(labelbottom=lowest, labelleft=first)
    named = first and lowest
    ax.set_xlabel(textwrap.fill(ax.get_xlabel(), letters) if named else "", loc="left", fontsize=7)
    name = textwrap.fill(ax.get_ylabel(), int(LETTERS * HEIGHT))
    ax.set_ylabel(name if first else "", fontsize=7)
