"""Figures to files and to text, the same bytes for the same record."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from landscape.plots.drawing import bowl_page
from landscape.utils import files
from landscape.utils.paths import PathLike, as_path

if TYPE_CHECKING:
    import plotly.graph_objects as go

FORMATS = ("png", "svg", "pdf", "html")
# Dates and versions would make two files of one record differ.
_UNDATED: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
_FILES: dict[str, Any] = {
    "svg.hashsalt": "landscape",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,  # TrueType: publishers refuse the Type 3 that is the default
}
SCREEN = 110  # dots per inch of a figure in a notebook
CONFIG = {
    "showSendToCloud": False,  # the button would post the data to a cloud service
    "displaylogo": False,
    "responsive": True,
    "plotlyServerURL": "",
    "modeBarButtonsToRemove": ["lasso2d", "select2d"],
}
# A small window would cut a scene at its sides: further back, small letters, no colour bar.
_SMALL = """
const plot = document.getElementById("{plot_id}"), { x, y, z } = plot.layout.scene.camera.eye;
const { clientWidth: width, clientHeight: height } = plot;
const back = Math.max((1.1 * height) / width, Math.min(width, height) < 500 ? 1.25 : 0);
const change = { "scene.camera.eye": { x: x * back, y: y * back, z: z * back } };
for (const axis of ["xaxis", "yaxis", "zaxis"])
  for (const font of ["title.font", "tickfont"]) change[`scene.${axis}.${font}.size`] = 10;
const bars = plot.data.flatMap((trace, i) => (trace.type === "surface" ? [i] : []));
if (back > 1) Plotly.update(plot, { showscale: false }, change, bars);
"""


def save(figure: "Figure | go.Figure", path: PathLike) -> Path:
    """Write a figure atomically; the ending decides: .png, .svg, .pdf, or .html for a scene.

    Raises ValueError where the ending does not fit the figure.

    Example:

    >>> import tempfile
    >>> import numpy as np
    >>> from landscape import plots, records
    >>> record = records.EigenvaluesRecord(
    ...     values=np.array([9.0, 1.0]), residuals=np.zeros(2), bounds=np.zeros(2),
    ...     converged=np.ones(2, dtype=bool), hvps=4, which="magnitude",
    ... )
    >>> plots.save(plots.spectrum(record), tempfile.mkdtemp() + "/spectrum.pdf").name
    'spectrum.pdf'
    """
    path = as_path(path)
    name = path.suffix.removeprefix(".").lower()
    fitting = FORMATS[:3] if isinstance(figure, Figure) else FORMATS[3:]
    if name not in fitting:
        raise ValueError(f"`path` must end in .{', .'.join(fitting)}. Got {path.name!r}.")
    if isinstance(figure, Figure):
        files.write(path, rendered(figure, name))
    elif figure.layout.meta and "methods" in figure.layout.meta:
        files.write(path, bowl_page.html(figure))
    else:
        files.write(path, scene_html(figure, "scene", whole=True))
    return path


@contextmanager
def only_settings(settings: Mapping[str, Any]) -> Iterator[None]:
    """Matplotlib's own defaults with these settings over them inside, and what it had after it.

    A matplotlibrc in the present folder, which matplotlib reads first, changes no figure so; it
    could have LaTeX run with a preamble of its own.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)  # type: ignore[arg-type]
        yield


def rendered(figure: Figure, name: str, *, transparent: bool = False, dpi: float = 200) -> bytes:
    """A matplotlib figure as the bytes of a png, svg or pdf file."""
    buffer = io.BytesIO()
    with only_settings(_FILES), _laid_out(figure, dpi) if name == "png" else nullcontext():
        figure.savefig(
            buffer, format=name, dpi=dpi, metadata=_UNDATED[name], transparent=transparent
        )
    return buffer.getvalue()


@contextmanager
def _laid_out(figure: Figure, dpi: float) -> Iterator[None]:
    """Lay a figure out for dots of this size inside, without drawing it; savefig, which finds a
    layout to be solved, would draw all of it for that, and then once more.
    """
    engine, canvas, own = figure.get_layout_engine(), figure.canvas, figure.dpi
    if engine is not None:
        figure.dpi = dpi
        FigureCanvasAgg(figure)  # measures text
        try:
            with suppress(ValueError):  # no room: drawn as it stands
                engine.execute(figure)
            figure.set_layout_engine(None)
        finally:
            figure.dpi = own
            figure.set_canvas(canvas)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself, without matplotlib's pyplot."""

    def _repr_png_(self) -> bytes:
        return rendered(self, "png", dpi=SCREEN)


def lay_out(figure: Figure) -> None:
    """Solve the layout of a figure without drawing it, and keep it."""
    with only_settings({}), _laid_out(figure, figure.dpi):
        for ax in figure.axes:
            place: Any = ax.get_axes_locator()
            ax.apply_aspect(place(ax, None) if place else None)
    settle(figure)


def settle(figure: Figure) -> None:
    """Keep the layout of a figure that was rendered: each file then costs one drawing, not two."""
    with only_settings({}):
        figure.set_layout_engine(None)


def scene_html(figure: "go.Figure", name: str, *, whole: bool, height: str = "100vh") -> str:
    """A plotly figure as HTML that asks nothing of the network.

    whole: a page of its own, or a fragment for a page; either carries plotly.js.
    name: id of its element.
    """
    return str(
        figure.to_html(
            config=CONFIG, include_plotlyjs=True, include_mathjax=False, full_html=whole,
            div_id=name, default_height=height, post_script=_SMALL if whole else None,
        )
    )  # fmt: skip
