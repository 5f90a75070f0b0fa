"""Paths: the line, its chord, its barrier."""

import numpy as np
import pytest

from landscape.plots import path
from landscape.records import PathRecord

T = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
LOSS = np.array([1.0, 2.0, 4.0, 3.0, 3.0])  # the chord is 1 + 2t: highest above it at 1/2, by 2


@pytest.fixture
def record(point):
    def make(loss=LOSS, **fields):
        return PathRecord(
            t=T, loss=loss, accuracy=np.exp(-loss), length=2.0, point=point,
            **{"end": "sgd, seed 1", "stale": False, **fields},
        )  # fmt: skip

    return make


def test_line_chord_and_barrier(record, words):
    figure = path({"sgd": record()})
    line, chord, bar = figure.axes[0].get_lines()
    assert line.get_ydata().tolist() == LOSS.tolist()
    assert chord.get_ydata().tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert bar.get_xydata().tolist() == [[0.5, 2.0], [0.5, 4.0]]
    said = words(figure).replace("\n", " ")
    assert "barrier over the dotted chord: 2 ·" in said
    assert "share of the way to SGD, seed 1" in said
    assert "batch norm keeps" not in said


def test_no_bar_where_there_is_no_barrier(record):
    assert len(path(record(np.zeros(5))).axes[0].get_lines()) == 2


def test_a_loss_that_is_not_finite_has_no_bar(record, words):
    loss = LOSS.copy()
    loss[2] = np.nan
    figure = path(record(loss))
    assert len(figure.axes[0].get_lines()) == 2
    assert "chord: nan" in words(figure)


def test_stale_statistics_are_said(record, words):
    said = words(path(record(stale=True))).replace("\n", " ")
    assert "batch norm keeps the statistics of the first end: no barrier of two networks" in said


def test_the_other_data_is_dashed(record, point, words):
    where = {**vars(point), "split": "test"}
    figure = path(record(other_loss=2 * LOSS, other_accuracy=LOSS, other_point=where))
    dashed = [ln for ln in figure.axes[0].get_lines() if ln.get_linestyle() == "--"]
    assert [ln.get_ydata().tolist() for ln in dashed] == [(2 * LOSS).tolist()]
    assert "dashed: 256 test examples" in words(figure).replace("\n", " ")


def test_markers_for_several_lines(record, words):
    """Bars at one place would hide each other."""
    figure = path({"sgd": record(), "sam": record(2 * LOSS, end="w*")})
    tops = [ln for ln in figure.axes[0].get_lines() if len(ln.get_xdata()) == 1]
    assert [ln.get_xydata().tolist() for ln in tops] == [[[0.5, 4.0]], [[0.5, 8.0]]]
    assert [ln.get_marker() for ln in tops] == ["o", "^"]
    assert "chord: SGD 2; SAM 4" in words(figure).replace("\n", " ")
    assert "share of the way to SGD, seed 1 / w*" in words(figure)
