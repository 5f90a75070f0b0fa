"""Small pictures of the loss around every minimum, all on one scale, with their names as text."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from landscape.plots.drawing import annotations, output, rise_panel
from landscape.plots.drawing.prepare import counts
from landscape.plots.drawing.style import INK, WHITE
from landscape.records import Array, RiseAreaRecord, SurfaceRecord
from landscape.report.contents import Contents
from landscape.report.wording import method_name

RISES = (0.1, 0.2, 0.05, 0.4, 0.025, 0.8, 0.0125)  # the first that lies inside every plane
INCHES, DOTS = 1.5, 160


@dataclass(frozen=True)
class Tile:
    """A method's picture, as a data URI, and its number, "" without one."""

    method: str
    picture: str
    number: str = ""


@dataclass(frozen=True)
class Tiles:
    """The pictures; rise: that of the contour, 0 where none lies inside every plane.

    bands: colour and lower end of each; plane: how the planes were chosen, for the caption.
    """

    each: Sequence[Tile]
    rise: float
    bands: Sequence[tuple[str, str]]
    baseline: str
    plane: str


def tiles(contents: Contents) -> Tiles | None:
    """Planes of the two largest eigenvalues with the area inside a rise, where they were measured;
    else the first surface of each method; None where there is neither.
    """
    if areas := contents.records("rise_area"):
        return _of_areas(contents, areas)
    records = {
        method: found[0]
        for method, found in contents.records("surface").items()
        if found[0].point is not None and np.isfinite(found[0].loss).any()
    }
    if not records or len({record.directions for record in records.values()}) > 1:
        return None
    rise = common_rise(list(records.values()))
    base = contents.comparison.baseline
    each = [
        Tile(method_name(method), _picture(record, records.get(base), rise))
        for method, record in records.items()
    ]
    plane = annotations.words(list(records.values()))[0].partition(" · ")[2]
    drawn = method_name(base) if base in records and len(records) > 1 else ""
    return Tiles(each, rise, _bands(rise), drawn, plane)


def _of_areas(contents: Contents, areas: Mapping[str, list[RiseAreaRecord]]) -> Tiles:
    firsts = rise_panel.first_records(areas)
    half, base = rise_panel.half_width(list(firsts.values())), contents.comparison.baseline
    rise, each = rise_panel.rise_of(list(firsts.values())), []
    for method, record in firsts.items():
        figure, ax = _canvas()
        rise_panel.draw(ax, record, firsts.get(base) if method != base else None, half)
        area = rise_panel.mean_area(areas[method])
        number = f"{area:#.3g}" if np.isfinite(area) else "–"
        each.append(Tile(method_name(method), _encoded(figure), number))
    seeds = counts([len(records) for records in areas.values()], "seed")
    plane = (
        "plane of the eigenvectors of its two largest eigenvalues; number: area inside the red "
        f"line, mean of {seeds}, in Euclidean lengths"
    )
    lacking = rise_panel.without_area([record for held in areas.values() for record in held])
    plane = "; ".join(filter(None, [plane, lacking]))
    dashed = method_name(base) if base in firsts and len(firsts) > 1 else ""
    return Tiles(each, rise, _bands(rise), dashed, plane)


def common_rise(records: Sequence[SurfaceRecord]) -> float:
    """A rise of the loss whose contour around w lies inside every plane; 0 where there is none."""
    lowest = [_border(height(record)) for record in records]
    inside = [rise for rise in RISES if rise < min(lowest)]
    return inside[0] if inside else 0.0


def height(record: SurfaceRecord) -> Array:
    """L − L(w), (nx, ny)."""
    assert record.point is not None
    return record.loss - record.point.loss


def _border(values: Array) -> float:
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    return float(np.where(np.isfinite(edge), edge, np.inf).min())


def _levels(rise: float) -> Array:
    return rise_panel.BANDS * (rise or RISES[0])


def _bands(rise: float) -> list[tuple[str, str]]:
    levels = _levels(rise)
    norm = rise_panel.norm_of(rise or RISES[0])
    return [(to_hex(rise_panel.MAP(norm(low))), f"{low:g}") for low in levels[:-1]]


def _picture(record: SurfaceRecord, base: SurfaceRecord | None, rise: float) -> str:
    """Plane without a word in it, as a data URI."""
    figure, ax = _canvas()
    _draw(ax, record, base, rise)
    return _encoded(figure)


def _canvas() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(INCHES, INCHES))
    return figure, figure.add_axes((0, 0, 1, 1))


def _encoded(figure: Figure) -> str:
    png = output.rendered(figure, "png", dpi=DOTS)
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _draw(ax: Axes, record: SurfaceRecord, base: SurfaceRecord | None, rise: float) -> None:
    """Bands of the rise, its contour, the baseline's dashed, and a cross at the weights."""
    levels = _levels(rise)
    ax.set_axis_off()
    ax.set(xlim=(record.x[0], record.x[-1]), ylim=(record.y[0], record.y[-1]))
    ax.contourf(
        record.x, record.y, np.clip(height(record), 0, levels[-1]).T, levels,
        cmap=rise_panel.MAP, norm=rise_panel.norm_of(rise or RISES[0]),
    )  # fmt: skip
    if rise:
        for colour, width in ((WHITE, 4.5), (rise_panel.CONTOUR, 2.2)):
            ax.contour(record.x, record.y, height(record).T, [rise], colors=colour,
                       linewidths=width)  # fmt: skip
    if rise and base is not None and base is not record:
        ax.contour(base.x, base.y, height(base).T, [rise], colors=INK, linewidths=1.1,
                   linestyles="dashed")  # fmt: skip
    x, y = annotations.position(record)
    ax.plot(x, y, "+", color=WHITE, markersize=8, markeredgewidth=1.8)
