"""3-D scene for the browser: a menu chooses whose surface is shown; one scale for all."""

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.plots.drawing import annotations
from landscape.plots.drawing.levels import Levels, shared_levels
from landscape.plots.drawing.prepare import SPLITS, ByMethod, axis_label, conditions, grouped, shown
from landscape.plots.drawing.style import INK, style_of
from landscape.records import Array, SurfaceRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = {"loss": "viridis", "accuracy": "viridis_r"}  # dark is good
MUTED = "#808890"  # readable on paper and on a dark page


def label(method: str) -> str:
    """Label of a method for plotly, which reads a little HTML in every text, but no &quot;."""
    return html.escape(style_of(method).label, quote=False)


def scene(records: ByMethod[SurfaceRecord], *, views: bool = False) -> "Figure":
    """A plotly figure of the first record of each method; one method is visible at a time.

    Heights are losses, on a logarithmic axis where all are positive; losses above the shared scale
    are cut to it, not-finite ones are holes. One scene, because browsers take only some 16 on a
    page.
    views: for a page with controls of its own, no menu, and beside the losses the accuracies and
    the other data set, all but the first surface invisible. Each trace then says what it is in
    `meta`, and `layout.meta` holds the axes by quantity.

    Raises ValueError where no loss is finite.
    """
    import plotly.graph_objects as go

    groups = {method: group[0] for method, group in grouped(records, SurfaceRecord).items()}
    sides = {method: _sides(record) if views else [record] for method, record in groups.items()}
    axes = {"loss": shared_levels([r for side in sides.values() for r in side])}
    known = [r for side in sides.values() for r in side if np.isfinite(r.accuracy).any()]
    if views and known:
        axes["accuracy"] = shared_levels(known, "accuracy")
    traces: list[dict[str, Any]] = []
    for quantity, levels in axes.items():
        for method, side in sides.items():
            for record in side:
                traces += _traces(method, record, quantity, levels, not traces, views)
    first = axes["loss"]
    figure = go.Figure(traces)
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        font={"color": MUTED, "family": "system-ui, sans-serif", "size": 13},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": "#0072B2"},
        margin={"l": 0, "r": 0, "t": 8 if views else 96, "b": 0},
        title={} if views else _title(groups),
        scene=_axes(_axis(first, "loss"), annotations.axis_names(list(groups.values()))),
        meta={
            quantity: _axis(levels, axis_label(quantity, known))
            for quantity, levels in axes.items()
        },
        updatemenus=_menu(list(groups)) if len(groups) > 1 and not views else [],
    )
    return figure


def _title(groups: Mapping[str, SurfaceRecord]) -> dict[str, Any]:
    """Describe the scene and its conditions, in lines that a phone has room for."""
    records = list(groups.values())
    parts = [*annotations.words(records, mark="●"), conditions(records)]
    who = [label(method) for method in groups if method]
    return {
        "text": "Loss around the minimum" + (f" of {who[0]}" if len(who) == 1 else ""),
        "font": {"color": INK, "size": 18}, "x": 0.01, "y": 0.99, "yanchor": "top",
        "subtitle": {"text": "<br>".join(filter(None, parts)),
                     "font": {"color": MUTED, "size": 12}},
    }  # fmt: skip


def _sides(record: SurfaceRecord) -> list[SurfaceRecord]:
    """The record, and the one of the other data set that it holds."""
    return [record] if record.other is None else [record, record.other]


def _traces(
    method: str, record: SurfaceRecord, quantity: str, levels: Levels, visible: bool, views: bool
) -> list[dict[str, Any]]:
    """The surface, and the point of the trained weights on it."""
    low, high = levels.values[[0, -1]]
    z = shown(quantity, getattr(record, quantity)).T  # plotly wants rows of y
    z = np.clip(np.where(np.isfinite(z), z, np.nan), low, high)
    x, y = (np.asarray(axis, dtype=float) for axis in (record.x, record.y))
    at = annotations.position(record)
    middle = z[np.abs(y - at[1]).argmin(), np.abs(x - at[0]).argmin()]
    split = record.point.split if record.point else "given"
    split = SPLITS.get(split, split)
    who = ", ".join(filter(None, [label(method), split, "preview" if record.preview else ""]))
    shared = {
        "visible": visible,
        "meta": {"method": method, "label": label(method), "split": split, "quantity": quantity},
    }
    colours = np.log10(z) if levels.log else z
    title = axis_label(quantity, [record])
    bar = {"title": {"text": title}, "thickness": 14, "len": 240,
           "lenmode": "pixels"}  # fmt: skip
    surface = {
        "type": "surface", "x": _short(x), "y": _short(y), "z": [_short(row) for row in z],
        "surfacecolor": None if views else colours.astype(np.float32), "cmin": _height(levels, low),
        "cmax": _height(levels, high), "colorscale": COLOURS[quantity], "name": label(method),
        "colorbar": bar | _ticks(levels, of_colours=True), **shared,
        "hovertemplate": f"d₁ %{{x:.2f}}, d₂ %{{y:.2f}}<br>{title} %{{z:.4g}}"
        f"<extra>{who}</extra>",
    }  # fmt: skip
    weights = {
        "type": "scatter3d", "x": [float(at[0])], "y": [float(at[1])], "z": _short([middle]),
        "mode": "markers", "marker": {"size": 4, "color": annotations.CROSS},
        "name": "trained weights",
        "showlegend": False, "hovertemplate": "trained weights<extra></extra>", **shared,
    }  # fmt: skip
    return [surface, weights]


def _short(values: Any) -> list[float | None]:
    """Four digits are more than an eye sees, and half of the page's weight."""
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in values]


def _height(levels: Levels, value: float) -> float:
    return float(np.log10(value) if levels.log else value)


def _axis(levels: Levels, label: str) -> dict[str, Any]:
    low, high = (_height(levels, v) for v in levels.values[[0, -1]])
    return {
        "title": {"text": label}, "type": "log" if levels.log else "linear",
        "range": [low, high], **_ticks(levels),
    }  # fmt: skip


def _axes(height: dict[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    plain = {"gridcolor": MUTED, "zerolinecolor": MUTED, "showbackground": False}
    return {
        "xaxis": {"title": {"text": names[0]}, **plain},
        "yaxis": {"title": {"text": names[1]}, **plain},
        "zaxis": {**height, **plain},
        "aspectratio": {"x": 1, "y": 1, "z": 0.7},
        "camera": {"eye": {"x": 1.5, "y": -1.5, "z": 0.95}, "center": {"z": -0.12}},
    }


def _ticks(levels: Levels, of_colours: bool = False) -> dict[str, Any]:
    """Six values over the scale; a logarithmic axis takes them as they are, colours their log₁₀."""
    low, high = levels.values[[0, -1]]
    at: Array = np.geomspace(low, high, 6) if levels.log else np.linspace(low, high, 6)
    places_ = [_height(levels, v) if of_colours else float(v) for v in at]
    return {"tickvals": places_, "ticktext": [levels.name(float(v)) for v in at]}


def _menu(methods: list[str]) -> list[dict[str, Any]]:
    buttons = [
        {
            "label": label(method),
            "method": "restyle",
            "args": [{"visible": [other == method for other in methods for _ in range(2)]}],
        }
        for method in methods
    ]
    return [{"buttons": buttons, "x": 0.01, "y": 0.99, "xanchor": "left", "yanchor": "top",
             "bgcolor": "#FFFFFF", "font": {"color": "#1B1F24"}, "bordercolor": MUTED}]  # fmt: skip
