"""Files: whole, the right kind, the same bytes."""

import io
import re
import subprocess
import sys

import matplotlib
import pytest
from matplotlib.figure import Figure

from landscape.plots import DRAWS, PLOTS, curves, noise, save, scene
from landscape.plots.drawing import output
from landscape.records import RECORDS

STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("ending", STARTS)
def test_the_same_record_gives_the_same_bytes(curves_record, tmp_path, ending):
    one, two = (
        save(curves({"a$b": curves_record()}), tmp_path / f"{n}.{ending}").read_bytes()
        for n in range(2)
    )
    assert one == two
    assert one.startswith(STARTS[ending])
    assert not re.search(rb"20\d\d-\d\d-\d\dT", one)


def test_fonts_of_a_pdf_are_embedded_as_truetype(curves_record, tmp_path):
    """Publishers refuse Type 3 fonts, matplotlib's default."""
    data = save(curves(curves_record()), tmp_path / "a.pdf").read_bytes()
    assert b"/Type3" not in data and b"/Type 3" not in data
    assert b"/FontFile2" in data


def test_a_scene_is_a_page_that_loads_nothing(surface_record, tmp_path):
    figures = [scene({"sgd": surface_record()}) for _ in range(2)]
    one, two = (save(f, tmp_path / "a.html").read_text() for f in figures)
    assert one == two
    assert '"showSendToCloud": false' in one or '"showSendToCloud":false' in one
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", one)
    assert "MathJax.js" not in one
    assert not list(tmp_path.glob(".*"))


def test_a_wrong_ending_is_refused(curves_record, surface_record, tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in .png, .svg, .pdf. Got 'a.html'."):
        save(curves(curves_record()), tmp_path / "a.html")
    with pytest.raises(ValueError, match=r"`path` must end in .html. Got 'a.png'."):
        save(scene(surface_record()), tmp_path / "a.png")


def test_every_plot_says_what_it_draws():
    assert PLOTS.keys() == DRAWS.keys()
    assert set(DRAWS.values()) <= RECORDS.keys()


def test_axes_of_the_caller_are_used(noise_record):
    theirs = Figure()
    axes = theirs.subplots(1, 2)
    loss = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    assert noise({"sgd": noise_record(loss), "sam": noise_record(loss)}, ax=axes) is theirs
    assert not theirs.legends
    assert len(axes[1].get_lines()) == 2


def test_no_window_system_is_touched(curves_record):
    before = matplotlib.get_backend(auto_select=False)
    curves(curves_record())
    assert matplotlib.get_backend(auto_select=False) == before


def test_figures_need_no_torch_and_no_plotly():
    """A plotting machine has records only; importing must not reach upward."""
    code = (
        "import sys, types\n"
        "class Refused:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in ('torch', 'plotly'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refused())\n"
        "package = types.ModuleType('landscape'); package.__path__ = ['landscape']\n"
        "sys.modules['landscape'] = package\n"
        "import landscape.plots, landscape.report\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def plainly(figure):
    """The bytes of a png as savefig alone makes them: it draws, for the layout, and draws again."""
    buffer = io.BytesIO()
    with output.only_settings({}):
        figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["surface", "spectrum", "curves"])
def test_a_layout_solved_without_drawing_is_that_of_a_drawing(name, request):
    made = {"spectrum": "eigenvalues"}.get(name, name)
    record = request.getfixturevalue(f"{made}_record")()

    def drawn():
        return PLOTS[name]({"sam": record, "sgd": record})

    figure = drawn()
    assert output.rendered(figure, "png") == plainly(drawn())
    assert figure.get_layout_engine() is not None and figure.dpi == drawn().dpi
    one, two = drawn(), drawn()
    output.lay_out(one)
    two.draw_without_rendering()
    for ours, theirs in zip(one.axes, two.axes, strict=True):
        assert ours.get_position().bounds == theirs.get_position().bounds
    assert one.get_layout_engine() is None
    output.settle(two)
    assert output.rendered(one, "png") == output.rendered(two, "png")


def test_figure_without_room_for_its_layout_is_drawn_as_it_stands(monkeypatch):
    figure = Figure(layout="constrained")
    figure.subplots()
    engine = figure.get_layout_engine()

    def no_room(figure):
        raise ValueError

    monkeypatch.setattr(engine, "execute", no_room)
    assert output.rendered(figure, "png").startswith(STARTS["png"])
    assert figure.get_layout_engine() is engine
