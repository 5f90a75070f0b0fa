"""Profiles: the mean over directions in a band of all of them."""

import numpy as np
import pytest

from landscape.plots import profile
from landscape.records import ProfileRecord

X = np.array([-1.0, 0.0, 1.0])
LOSS = np.array([[1.0, 0.5, 3.0], [2.0, 0.5, 1.0]])


@pytest.fixture
def record(point):
    def make(loss=LOSS, x=X, **fields):
        return ProfileRecord(
            x=x, loss=loss, accuracy=np.exp(-loss), point=point, relative_stderr=0.2,
            **{"directions": "random", **fields},
        )  # fmt: skip

    return make


def test_mean_and_range(record, words):
    figure = profile(record())
    ax = figure.axes[0]
    (line,) = ax.get_lines()
    assert line.get_ydata().tolist() == [1.5, 0.5, 2.0]
    band = ax.collections[0].get_paths()[0].vertices
    for x, low, high in zip(X, LOSS.min(0), LOSS.max(0), strict=True):
        assert {low, high} <= set(band[band[:, 0] == x, 1])
    said = words(figure).replace("\n", " ")
    assert "line: mean over 2 directions, band: lowest to highest" in said
    assert "256 training examples, batch norm: reestimated" in said
    assert "distance in filter norms" in said
    assert "examples: 20%" in said


def test_accuracy_in_percent(record):
    line = profile(record()).axes[1].get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), 100 * np.exp(-LOSS).mean(0))


def test_minima_of_one_method_are_taken_together(record):
    figure = profile({"sgd": [record(), record(LOSS + 1)], "sam": record()})
    first, second = figure.axes[0].get_lines()
    assert first.get_ydata().tolist() == [2.0, 1.0, 2.5]
    assert second.get_ydata().tolist() == [1.5, 0.5, 2.0]


def test_the_other_data_is_dashed(record, point, words):
    where = {**vars(point), "split": "test"}
    figure = profile(record(other_loss=2 * LOSS, other_accuracy=LOSS, other_point=where))
    solid, dashed = figure.axes[0].get_lines()
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert dashed.get_ydata().tolist() == [3.0, 1.0, 4.0]
    assert "dashed: 256 test examples" in words(figure).replace("\n", " ")


def test_what_is_not_finite_is_a_gap(record):
    loss = LOSS.copy()
    loss[0, 0] = np.inf
    line = profile(record(loss)).axes[0].get_lines()[0]
    assert np.isnan(line.get_ydata()).tolist() == [True, False, False]


def test_no_accuracy(record, words):
    subject = record()
    subject.accuracy[:] = np.nan
    assert "not computed for this task" in words(profile(subject))


@pytest.mark.parametrize("other", [{"x": 2 * X}, {"directions": "eigenvectors"}])
def test_what_cannot_be_compared(record, other):
    with pytest.raises(ValueError, match=r"need the same distances and directions of one kind"):
        profile({"sgd": record(), "sam": record(**other)})
