"""Figures of a grid show its answers; the documentation is that of the committed record."""

import importlib.util
import json
from pathlib import Path

import pytest

from landscape.plots.correlation.forest import forest
from landscape.plots.correlation.matrix import matrix
from landscape.plots.correlation.networks import networks
from landscape.plots.drawing.style import GRID, HIGHER, LOWER
from landscape.statistics.grid_answers import GridAnswers
from landscape.statistics.network_table import quantity, read_networks

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "benchmarks" / "results" / "correlate-digits.json"


@pytest.fixture(scope="module")
def answers():
    return GridAnswers.from_dict(json.loads(RECORD.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def table():
    return read_networks(RECORD.with_suffix(".csv"))


def test_the_matrix_is_grey_where_zero_lies_inside(answers):
    from matplotlib.colors import to_hex

    (panel,) = matrix(answers).axes
    cells = {
        (round(c.get_x() + 0.48), round(c.get_y() + 0.45, 2)): to_hex(c.get_facecolor()).upper()
        for c in panel.patches
    }
    for y, answer in enumerate(answers.of("gap_loss", "measure")):
        for x, psi in enumerate(answer.correlations.psi):
            if psi.n:
                sign = HIGHER if psi.low > 0 else LOWER if psi.high < 0 else GRID
                assert cells[x, y] == sign.upper()
    assert [t.get_text() for t in panel.get_xticklabels()] == [*answers.axes, "all axes, Ψ"]


def test_the_forest_holds_every_interval_and_verdict(answers):
    figure = forest(answers, "gap_error")
    words = [t.get_text() for t in figure.axes[0].child_axes[0].get_yticklabels()]
    assert len(words) == len(answers.of("gap_error"))
    for answer in answers.of("gap_error", "measure"):
        assert any(said.startswith(answer.verdict) for said in words)
    with pytest.raises(ValueError, match=r"`target` must be one of gap_loss, .* Got 'gap'"):
        forest(answers, "gap")


def test_a_panel_shows_every_network_that_arrived(table):
    figure = networks(table, "width")
    (panel, *_) = figure.axes
    assert sum(len(line.get_xdata()) for line in panel.lines) == table.reached.sum()
    with pytest.raises(ValueError, match=r"`axis` must be one of learning rate, .* Got 'depth'"):
        networks(table, "depth")


def test_the_table_and_the_answers_are_of_one_study(answers, table):
    assert len(table.states) == answers.planned
    assert len(table.states) - int(table.reached.sum()) == len(answers.left_out)
    assert {quantity(a.measure).role for a in answers.answers} == {"measure", "yardstick"}


def test_the_documentation_is_that_of_the_record():
    spec = importlib.util.spec_from_file_location("flatness_page", ROOT / "docs/flatness_page.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.PAGE.read_text(encoding="utf-8") == made.text(), "python docs/flatness_page.py"
