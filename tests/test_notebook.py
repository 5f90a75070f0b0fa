"""Notebooks: figures and records show themselves, `progress=True` shows progress."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import landscape as ls
from landscape.measures import MEASURES
from landscape.records import CurvesRecord, Point
from landscape.utils import progress_display
from landscape.utils.progress import Progress

COLUMNS = (
    "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "learning_rate",
    "grad_evals", "seconds",
)  # fmt: skip
POINT = Point(0.25, 0.03, 2.0, 10, 100, "train", "stored", "float32", "cpu", "x")
NOTEBOOK = Path(__file__).parents[1] / "gallery" / "notebooks" / "your_own_model.ipynb"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def objective():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    batch = (torch.randn(12, 3), torch.randint(2, (12,)))
    loss = lambda m, b: torch.nn.functional.cross_entropy(m(b.x), b.y)  # noqa: E731
    return ls.Objective(model, [batch], loss)


def test_a_record_draws_itself_and_shows_picture_and_numbers(objective):
    record = ls.measures.Eigenvalues(k=2)(objective)
    assert record.plot()._repr_png_().startswith(PNG)
    page = record._repr_html_()
    (picture,) = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    assert base64.b64decode(picture).startswith(PNG)
    assert "<th" in page and "hvps" in page and "12 (given)" in page


def test_a_record_without_a_figure_shows_its_numbers_and_says_so(objective):
    record = ls.measures.Trace(max_hvps=30)(objective)
    assert "<img" not in record._repr_html_() and "value" in record._repr_html_()
    with pytest.raises(ValueError, match="A record of the kind trace has no figure"):
        record.plot()


def test_options_of_a_figure_reach_it(objective):
    surface = ls.measures.Surface(size=3)(objective)
    one, two = (surface.plot(quantity=q) for q in ("loss", "accuracy"))
    assert one._repr_png_() != two._repr_png_()


def test_text_of_a_record_is_escaped():
    record = CurvesRecord(**dict.fromkeys(COLUMNS, np.ones(2)), point=replace(POINT, split="<b>"))
    assert "&lt;b&gt;" in record._repr_html_() and "<b>)" not in record._repr_html_()


@pytest.mark.parametrize("name", [n for n in MEASURES if n != "path"])
def test_every_measure_takes_progress_true(name):
    """The mark that lets it: without it a number of parts would be called as a function."""
    assert hasattr(MEASURES[name].__call__, "__wrapped__")


def test_progress_true_shows_lines_where_there_is_no_terminal(objective, capsys):
    ls.measures.NoiseRobustness(sigmas=(0.1,), draws=2)(objective, progress=True)
    assert "100% measure: NoiseRobustness" in capsys.readouterr().out
    ls.measures.NoiseRobustness(sigmas=(0.1,), draws=2)(objective, progress=False)
    assert capsys.readouterr().out == ""


def test_a_listener_of_ones_own_a_display_or_silence(capsys):
    heard = []
    with progress_display.listening(heard.append) as listener:
        listener("x")
    assert heard == ["x"]
    for nothing in (None, False):
        with progress_display.listening(nothing) as listener:
            listener(Progress("train", "", 1, 1))
    assert capsys.readouterr().out == ""
    with progress_display.listening(True) as listener:
        listener(Progress("train", "sam", 1, 1))
    assert "train: sam" in capsys.readouterr().out


def test_public_names_and_what_things_call_themselves(objective):
    assert dir(ls) == sorted(ls.__all__)
    optimizer = torch.optim.SGD(objective.model.parameters(), lr=0.1)
    stepper = ls.optim.wrap(ls.methods.SAM(rho=0.1), objective.model, optimizer, objective.loss)
    assert repr(stepper).startswith("Stepper(SAM(rho=0.1") and "SGD, 0 steps taken" in repr(stepper)
    assert repr(objective) == (
        "Objective(Sequential with 26 weights, 12 examples in 1 batches, batch norm stored, on cpu)"
    )


def code_cells():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_of_the_gallery_was_executed_and_shows_pictures():
    """In order, without an error or a warning, small enough to be kept."""
    outputs = [output for cell in code_cells() for output in cell["outputs"]]
    assert [cell["execution_count"] for cell in code_cells()] == list(
        range(1, len(code_cells()) + 1)
    )
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    tables = [o for o in outputs if "<table" in "".join(o.get("data", {}).get("text/html", ""))]
    assert len(pictures) >= 4 and tables
    assert NOTEBOOK.stat().st_size < 1_000_000


@pytest.mark.slow
def test_the_cells_of_the_notebook_run(capsys):
    names = {}
    for cell in code_cells():
        exec("".join(cell["source"]), names)
    assert "barrier" in capsys.readouterr().out
