"""Scene of bowls for the browser: one method at a time, one camera and one scale for all."""

from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.plots.bowl.geometry import CUT, FLOOR, LINES, Bowl, bowl, half_width, ribbon
from landscape.plots.drawing import rise_panel
from landscape.plots.drawing.prepare import ByMethod, conditions, counts, grouped
from landscape.plots.drawing.style import style_of
from landscape.records import Array, RiseAreaRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS: list[tuple[float, str]] = [
    (0, "#1A2A7C"), (0.125, "#2351A2"), (0.25, "#2384BC"), (0.5, "#45B0C4"), (1, "#C9EBC0")
]  # fmt: skip
THIN, DASHED = "#8A97A6", "#6B7580"
LIT = {"ambient": 0.78, "diffuse": 0.42, "specular": 0.1, "roughness": 0.6, "fresnel": 0.05}
FLAT = {"ambient": 1, "diffuse": 0, "specular": 0, "roughness": 1, "fresnel": 0}
DASH, PERIOD = 4, 6  # points of a dash, and to the next one
ASPECT = 0.62  # height of the scene over its width


def bowl_scene(records: ByMethod[RiseAreaRecord], *, baseline: str = "sgd") -> "Figure":
    """Draw the rise of the loss around each minimum as a lit bowl, cut at four times the rise.

    On the bowl and on the floor below it the contour of the rise (red); on the floor also those at
    a quarter, half and twice of it, and the baseline's (dashed). The first record of a method with
    an area is drawn, the first method first; saved as HTML, buttons choose another and the scene
    turns until it is touched. Numbers are means over all records of a method.

    Raises ValueError for records that were measured at different rises.
    """
    import plotly.graph_objects as go

    groups = grouped(records, RiseAreaRecord)
    rise = rise_panel.rise_of([r for found in groups.values() for r in found])
    firsts = rise_panel.first_records(groups)
    half = half_width(list(firsts.values()))
    bowls = {method: bowl(record, half) for method, record in firsts.items()}
    base = bowls[baseline].ring if baseline in bowls and len(bowls) > 1 else None
    traces = [
        {**trace, "meta": method, "visible": method == next(iter(bowls))}
        for method, shape in bowls.items()
        for trace in _traces(shape, None if method == baseline else base, rise, half)
    ]
    axis = {"visible": False, "range": [-1.02 * half, 1.02 * half]}
    figure = go.Figure(traces)
    figure.update_layout(
        template="none", paper_bgcolor="rgba(0,0,0,0)", showlegend=False,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        scene={
            "xaxis": axis, "yaxis": axis, "aspectmode": "manual",
            "zaxis": {"visible": False, "range": [(FLOOR - 0.05) * CUT * rise, 1.02 * CUT * rise]},
            "aspectratio": {"x": 1, "y": 1, "z": ASPECT},
            "camera": {"eye": {"x": 0.86, "y": -0.86, "z": 0.62},
                       "center": {"x": 0, "y": 0, "z": -0.07}},
        },
        meta=_words(groups, rise, base is not None, baseline),
    )  # fmt: skip
    return figure


def _traces(shape: Bowl, base: Array | None, rise: float, half: float) -> list[dict[str, Any]]:
    """The bowl, its ring, and the contours on the floor."""
    floor, top = FLOOR * CUT * rise, CUT * rise
    traces = [
        {
            "type": "surface", "x": _short(shape.x), "y": _short(shape.y), "z": _short(shape.z),
            "cmin": 0, "cmax": top, "colorscale": COLOURS, "showscale": False, "lighting": LIT,
            "lightposition": {"x": 0, "y": -1000, "z": 4000},
            "hovertemplate": "%{z:.3g} above the trained weights<extra></extra>",
        }
    ]  # fmt: skip
    traces += [_band(line, floor, 0.004 * half, THIN) for line in shape.lines.values()]
    if base is not None and len(base):
        traces.append(_band(base, floor + 0.004 * top, 0.009 * half, DASHED, dashed=True))
    if len(shape.ring):
        traces.append(_band(shape.ring, floor + 0.008 * top, 0.014 * half, rise_panel.CONTOUR))
        traces.append(_wall(1.004 * shape.ring, rise, 0.025 * top))
    return traces


def _band(line: Array, z: float, width: float, colour: str, dashed: bool = False) -> dict[str, Any]:
    x, y = ribbon(line, width)
    height = np.full(x.shape, z)
    if dashed:
        height[:, np.arange(x.shape[1]) % PERIOD >= DASH] = np.nan
    return _plain_surface(x, y, height, colour)


def _wall(line: Array, z: float, height: float) -> dict[str, Any]:
    """An upright band through the bowl: its upper half is seen inside, the lower one outside."""
    x, y = (np.stack([axis, axis]) for axis in line.T)
    return _plain_surface(x, y, np.stack([np.full(len(line), z + h) for h in (-height, height)]))


def _plain_surface(
    x: Array, y: Array, z: Array, colour: str = rise_panel.CONTOUR
) -> dict[str, Any]:
    return {
        "type": "surface", "x": _short(x), "y": _short(y), "z": _short(z), "showscale": False,
        "colorscale": [[0, colour], [1, colour]], "lighting": FLAT, "hoverinfo": "skip",
    }  # fmt: skip


def _short(rows: Array) -> list[list[float | None]]:
    """Four digits are more than an eye sees."""
    return [[float(f"{v:.4g}") if np.isfinite(v) else None for v in row] for row in rows]


def _words(
    groups: dict[str, list[RiseAreaRecord]], rise: float, dashed: bool, baseline: str
) -> dict[str, Any]:
    """Everything that the page says, by method where it differs."""
    flat = [record for found in groups.values() for record in found]
    lines = ", ".join(f"{c * rise:g}" for c in sorted(LINES))
    caption = (
        f"Bowl: the loss above its value at the trained weights, cut at a rise of {CUT * rise:g}, "
        f"in the plane of the two largest eigenvalues of one minimum; one scale for all. Red: a "
        f"rise of {rise:g}; on the floor, as far as they fit, the contours at {lines}"
        f"{f'; dashed: {style_of(baseline).label}’s at {rise:g}' if dashed else ''}. "
        f"Numbers: {_of_seeds(groups)}; lengths are Euclidean. {conditions(flat)}."
    )
    return {
        "title": f"How far can the weights move before the loss rises by {rise:g}?",
        "caption": caption,
        "area": f"area where the loss rises by less than {rise:g}",
        "methods": [
            {
                "name": method,
                "label": style_of(method).label if method else "",
                "area": _number(rise_panel.mean_area(found)),
                "curvature": _number(float(np.mean([r.eigenvalues[0] for r in found]))),
                "why": next((r.no_area for r in found if r.no_area), ""),
            }
            for method, found in groups.items()
        ],
    }


def _of_seeds(groups: dict[str, list[RiseAreaRecord]]) -> str:
    seeds = [len(found) for found in groups.values()]
    return f"means of {counts(seeds, 'seed')}" if max(seeds) > 1 else "of this minimum"


def _number(value: float) -> str:
    return f"{value:#.3g}" if np.isfinite(value) else "–"
