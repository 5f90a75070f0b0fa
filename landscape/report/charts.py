"""Figures as charts that a page draws at its own width: marks, ticks and words of every panel.

Whatever a figure drew is read back from its axes, so a chart shows what the figure shows. Places
are in thousandths of a panel, from its lower left corner. A mark belongs to the method that
`drawing_of` named; the page shows two methods in colour and the others pale.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from landscape.plots.drawing.output import lay_out
from landscape.records import Array

UNIT = 1000
CLOSE = 0.8  # thousandths: a vertex nearer to the line through its neighbours is left out
NOTHING = ("None", "none", "", " ")  # no marker, no line
Spans: TypeAlias = Mapping[tuple[str, float], tuple[float, float]]
RAISED = str.maketrans("-−0123456789", "⁻⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MATH = re.compile(r"\$\\mathdefault\{(.*)\}\$")
POWER = re.compile(r"\^\{([^}]*)\}")


def chart(figure: Figure) -> list[dict[str, Any]]:
    """The panels of a figure, which it lays out: title, names and ticks of the axes, marks."""
    lay_out(figure)  # ticks are known from then on
    panels = [ax for ax in figure.axes if ax.get_visible() and ax.axison]
    return [_panel(ax, panels) for ax in panels]


def _panel(ax: Axes, panels: Sequence[Axes]) -> dict[str, Any]:
    spans = _spans(ax)
    marks = [mark for artist in ax.get_children() for mark in _marks(ax, artist, spans)]
    words = [_words(ax, t) for t in ax.texts if t.get_text() and not t.get_gid()]
    return {
        "title": plain(ax.get_title(loc="left") or ax.get_title()),
        "x": plain(ax.get_xlabel() or _shared(ax, panels, "x")),
        "y": plain(ax.get_ylabel() or _shared(ax, panels, "y")),
        "xt": _ticks(ax, "x"),
        "yt": _ticks(ax, "y"),
        "marks": marks,
        "words": words,
    }


def _shared(ax: Axes, panels: Sequence[Axes], name: str) -> str:
    """The name that a panel has from another one, beside or below it, that shows it for both."""
    siblings = getattr(ax, f"get_shared_{name}_axes")().get_siblings(ax)
    named = (getattr(other, f"get_{name}label")() for other in panels if other in siblings)
    return next(filter(None, named), "")


def _ticks(ax: Axes, name: str) -> list[tuple[int, str]]:
    """Place and text of each tick within the limits."""
    axis = getattr(ax, f"{name}axis")
    low, high = sorted(axis.get_view_interval())
    at = axis.get_majorticklocs()
    texts = [label.get_text() for label in axis.get_majorticklabels()]
    if not any(texts):
        texts = axis.get_major_formatter().format_ticks(at)
    margin = 1e-9 * (high - low)
    return [
        (_place(ax, name, value), plain(text).replace("\n", " "))
        for value, text in zip(at, texts, strict=False)
        if low - margin <= value <= high + margin and text
    ]


def _place(ax: Axes, name: str, value: float) -> int:
    point = [[value, ax.get_ylim()[0]] if name == "x" else [ax.get_xlim()[0], value]]
    across, up = ax.transAxes.inverted().transform(ax.transData.transform(point))[0]
    return round(UNIT * float(across if name == "x" else up))


def _marks(ax: Axes, artist: Artist, spans: Spans) -> Iterable[dict[str, Any]]:
    if not artist.get_visible():
        return
    if isinstance(artist, Line2D):
        yield from _line(ax, artist, spans)
    elif isinstance(artist, PolyCollection):
        for path in artist.get_paths():
            corners = _reduced(_places(ax, artist, path.vertices))
            yield {"k": "band", **_whose(artist), "p": _flat(corners)}
    elif isinstance(artist, LineCollection):
        pieces = [_places(ax, artist, path.vertices) for path in artist.get_paths()]
        pieces = [piece for piece in pieces if np.isfinite(piece).all() and len(piece)]
        if pieces:
            colour = to_hex(np.atleast_2d(np.asarray(artist.get_color()))[0])
            width = float(np.ravel(artist.get_linewidth())[0])
            yield {
                "k": "bars", **_whose(artist), "c": colour, "w": width,
                "p": [_flat(piece) for piece in pieces],
            }  # fmt: skip


def _line(ax: Axes, line: Line2D, spans: Spans) -> Iterable[dict[str, Any]]:
    data = np.column_stack([np.asarray(v, dtype=float) for v in line.get_data()])
    places = _places(ax, line, data)
    finite = _whole(places)
    if not finite.any():
        return
    style = {"c": to_hex(line.get_color()), **_whose(line)}
    if line.get_linestyle() not in NOTHING:
        dash = "" if line.get_linestyle() == "-" else "4 3"
        yield {
            "k": "line", **style, "w": float(line.get_linewidth()), "d": dash,
            "p": [_flat(_reduced(run)) for run in _runs(places, finite)],
        }  # fmt: skip
    main = bool(line.get_gid()) and line.get_linestyle() != "--"
    if main or line.get_marker() not in NOTHING:
        yield _points(line, data, places, style, spans)


def _points(
    line: Line2D, data: Array, places: Array, style: Mapping[str, Any], spans: Spans
) -> dict[str, Any]:
    """Places that answer to the pointer, with their values; drawn where the line has a marker.

    Of a curve without markers its vertices answer.
    """
    marked = line.get_marker() not in NOTHING
    keep = _whole(places)
    if not marked:
        keep[keep] = _corners(places[keep])
    every = line.get_markevery()
    drawn = marked and not (isinstance(every, int) and every > 1)
    notes = str(line.get_label()).removeprefix("_").split("\n")
    each = notes if len(notes) == len(data) and any(notes) else []
    face = to_hex(line.get_markerfacecolor()) if marked else ""
    values = [
        [_short(v) for v in (x, y, *spans.get((line.get_gid() or "", float(x)), ()))]
        for x, y in data[keep]
    ]
    return {
        "k": "points",
        **style,
        "s": str(line.get_marker()) if drawn else "",
        "hollow": marked and face != to_hex(line.get_color()),
        "p": _flat(places[keep]),
        "v": values,
        "n": [note for note, kept in zip(each, keep, strict=True) if kept] if each else [],
    }


def _whole(points: Array) -> Array:
    """Mask of the points whose every coordinate is finite, (n,)."""
    return np.asarray(np.isfinite(points).all(axis=1))


def _spans(ax: Axes) -> Spans:
    """(method, x) -> ends of its band there."""
    spans: dict[tuple[str, float], tuple[float, float]] = {}
    for band in ax.collections:
        if isinstance(band, PolyCollection) and band.get_gid():
            for path in band.get_paths():
                for x, y in np.asarray(path.vertices, dtype=float).tolist():
                    key = (str(band.get_gid()), x)
                    low, high = spans.get(key, (y, y))
                    spans[key] = (min(low, y), max(high, y))
    return spans


def _whose(artist: Artist) -> dict[str, Any]:
    return {"m": artist.get_gid() or ""}


def _words(ax: Axes, text: Text) -> dict[str, Any]:
    """A note inside a panel, at its place."""
    point = text.get_transform().transform([text.get_position()])
    across, up = ax.transAxes.inverted().transform(point)[0]
    return {
        "t": plain(text.get_text()), "p": [round(UNIT * float(across)), round(UNIT * float(up))],
        "a": text.get_horizontalalignment(),
    }  # fmt: skip


def _places(ax: Axes, artist: Artist, points: Any) -> Array:
    """Points of an artist in thousandths of the panel, (n, 2)."""
    values: Array = np.ma.filled(np.ma.asarray(points, dtype=float), np.nan)
    with np.errstate(all="ignore"):
        seen = artist.get_transform().transform(values)
        return np.asarray(ax.transAxes.inverted().transform(seen)) * UNIT


def _runs(places: Array, finite: Array) -> list[Array]:
    """Stretches without a gap."""
    edges = np.flatnonzero(np.diff(finite.astype(int))) + 1
    return [run for run in np.split(places, edges) if np.isfinite(run).all()]


def _reduced(points: Array) -> Array:
    """The same line with fewer vertices."""
    points = points[_whole(points)]
    return points[_corners(points)]


def _corners(points: Array) -> Array:
    """Vertices that keep a line within CLOSE of all (Douglas and Peucker 1973), a mask (n,)."""
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1] if len(points) else []] = True
    pieces = [(0, len(points) - 1)]
    while pieces:
        first, last = pieces.pop()
        if last - first < 2:
            continue
        away = _distances(points[first], points[last], points[first + 1 : last])
        farthest = int(np.argmax(away))
        if away[farthest] > CLOSE:
            middle = first + 1 + farthest
            keep[middle] = True
            pieces += [(first, middle), (middle, last)]
    return keep


def _distances(start: Array, end: Array, points: Array) -> Array:
    """Distances of points (n, 2) from the line through two others, (n,)."""
    way, rest = end - start, points - start
    length = float(np.hypot(*way))
    if length == 0:
        return np.hypot(rest[:, 0], rest[:, 1])
    return np.abs(rest[:, 0] * way[1] - rest[:, 1] * way[0]) / length


def _flat(points: Array) -> list[int]:
    """x, y, x, y, ...; what lies far outside stays outside."""
    return [int(v) for v in np.round(np.clip(points, -9 * UNIT, 10 * UNIT)).ravel()]


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def plain(words: str) -> str:
    """Words without mathematical markup: "10⁻³" of "$\\mathdefault{10^{-3}}$"."""
    words = MATH.sub(lambda m: m[1].replace(r"\times", "×"), words)
    words = POWER.sub(lambda m: m[1].translate(RAISED), words)
    return words.replace(r"\$", "$")
