"""Page and figures of a study: written by `correlate` from its answers, self-contained."""

import re

import pytest
from matplotlib.figure import Figure

from landscape.correlation import page, study
from landscape.statistics.grid_answers import GridAnswers
from landscape.statistics.network_table import read_networks
from landscape.utils import files
from tests.correlation import small_grid

GRID = """
task = "split-digits"
level = 0.05
[axes]
"training.lr" = [0.05, 0.1]
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A study of made-up networks and answers with blank figures, else as `correlate` does it.

    What the figures show is tested in test_figures and by their images.
    """
    (tmp_path / "grid.toml").write_text(GRID)
    monkeypatch.setattr(study, "_run", lambda plan, engine, tell: {})
    monkeypatch.setattr(study, "table_of", lambda *_: small_grid.table())
    monkeypatch.setattr(study, "answers_of", lambda *_: small_grid.answers())
    for name in ("matrix", "forest", "networks"):
        monkeypatch.setattr(page, name, lambda *_: Figure(figsize=(1, 1)))
    return study.correlate(out=tmp_path / "study", config=tmp_path / "grid.toml", workers=1).path


def test_it_writes_answers_networks_page_and_figures(written):
    tree = files.read_object(written / "correlate.json", answers=list)
    assert GridAnswers.from_dict(tree).targets == [small_grid.TARGET]
    assert read_networks(written / "networks.csv").states == tuple(small_grid.table().states)
    names = ("matrix-forgetting", "forest-forgetting", "networks-learning-rate", "networks-width")
    assert {path.name for path in (written / "figures").iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("svg", "pdf", "png")
    }
    text = (written / "correlate.html").read_text(encoding="utf-8")
    assert "5 of 6 networks, each task stopped at a training loss of 0.05" in text
    assert "predicted by λ max of the Hessian" in text
    assert "significantly the other way with bound ½ λ max ‖Δw‖²" in text
    assert "not reached: task 2, 9 epochs at most" in text
    assert text.count("<svg") == 4
    assert not re.search(r"(src|href)=\"(?!#|data:)", text)  # nothing is loaded from elsewhere
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))
