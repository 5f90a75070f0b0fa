"""One 3-D scene for the browser: a menu chooses whose surface is shown; one scale for all."""

import html
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.plots import places
from landscape.plots.levels import Levels, rounded, shared_levels
from landscape.plots.prepare import ByMethod, grouped
from landscape.plots.style import look
from landscape.records import SurfaceRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MUTED = "#808890"  # readable on paper and on a dark page


def scene(records: ByMethod[SurfaceRecord]) -> "Figure":
    """A plotly figure of the first record of each method; one method is visible at a time.

    Heights are log₁₀ of the loss where all losses are positive; losses above the shared scale are
    cut to it, not-finite ones are holes. One scene, because browsers take only some 16 on a page.
    Raises ValueError where no loss is finite.
    """
    import plotly.graph_objects as go

    groups = {method: found[0] for method, found in grouped(records, SurfaceRecord).items()}
    levels = shared_levels(list(groups.values()))
    low, high = levels.height(levels.values[[0, -1]])
    traces = []
    for number, (method, record) in enumerate(groups.items()):
        traces += _traces(go, _name(method), record, levels, visible=number == 0)
    figure = go.Figure(traces)
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        font={"color": MUTED, "family": "system-ui, sans-serif", "size": 13},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": "#0072B2"},
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        scene=_axes(levels, low, high, places.axis_names(list(groups.values()))),
        updatemenus=_menu(list(groups)) if len(groups) > 1 else [],
    )
    return figure


def _name(method: str) -> str:
    return html.escape(look(method).label) or "loss"  # plotly reads a little HTML in names


def _traces(go: Any, name: str, record: SurfaceRecord, levels: Levels, visible: bool) -> list[Any]:
    low, high = levels.height(levels.values[[0, -1]])
    z = np.clip(levels.height(np.asarray(record.loss, dtype=float)).T, low, high)
    x, y = (np.asarray(axis, dtype=np.float32) for axis in (record.x, record.y))
    at = places.position(record)
    middle = z[np.abs(y - at[1]).argmin(), np.abs(x - at[0]).argmin()]
    label = f"{name}, preview" if record.preview else name
    height = "log₁₀ loss" if levels.log else "loss"
    surface = go.Surface(
        x=x, y=y, z=z.astype(np.float32), cmin=low, cmax=high, colorscale="Viridis", name=name,
        visible=visible, colorbar={"title": {"text": "loss"}, "thickness": 14, "len": 0.7,
        **_ticks(levels, low, high)},
        hovertemplate=f"d₁ %{{x:.2f}}, d₂ %{{y:.2f}}<br>{height} %{{z:.3f}}<extra>{label}</extra>",
    )  # fmt: skip
    weights = go.Scatter3d(
        x=[float(at[0])], y=[float(at[1])],
        z=[None if np.isnan(middle) else float(np.float32(middle))],
        mode="markers", marker={"size": 4, "color": "#CC3311"}, name="trained weights",
        visible=visible, showlegend=False, hovertemplate="trained weights<extra></extra>",
    )  # fmt: skip
    return [surface, weights]


def _axes(levels: Levels, low: float, high: float, names: tuple[str, str]) -> dict[str, Any]:
    plain = {"gridcolor": MUTED, "zerolinecolor": MUTED, "showbackground": False}
    return {
        "xaxis": {"title": {"text": names[0]}, **plain},
        "yaxis": {"title": {"text": names[1]}, **plain},
        "zaxis": {"title": {"text": "loss"}, "range": [float(low), float(high)], **plain,
                  **_ticks(levels, low, high)},
        "aspectratio": {"x": 1, "y": 1, "z": 0.7},
        "camera": {"eye": {"x": 1.5, "y": -1.5, "z": 0.95}, "center": {"z": -0.12}},
    }  # fmt: skip


def _ticks(levels: Levels, low: float, high: float) -> dict[str, Any]:
    at = np.linspace(low, high, 6)
    losses = 10.0**at if levels.log else at
    return {"tickvals": [float(v) for v in at], "ticktext": [rounded(loss) for loss in losses]}


def _menu(methods: list[str]) -> list[dict[str, Any]]:
    buttons = [
        {
            "label": _name(method),
            "method": "restyle",
            "args": [{"visible": [other == method for other in methods for _ in range(2)]}],
        }
        for method in methods
    ]
    return [{"buttons": buttons, "x": 0.01, "y": 0.99, "xanchor": "left", "yanchor": "top",
             "bgcolor": "#FFFFFF", "font": {"color": "#1B1F24"}, "bordercolor": MUTED}]  # fmt: skip
