"""Walks: rows in order, and kept rows for one question about one function only."""

import numpy as np
import pytest
import torch

from landscape import Objective
from landscape.measures.space.evaluate_grid import walk


@pytest.fixture
def square(bare_objective):
    """L = |w|², for which w and −w have one loss and other points around them."""
    return lambda w: bare_objective(w, lambda v: (v**2).sum())


def around(objective):
    return lambda row: (objective.w + row + i for i in range(3))


def stopped(objective, keep):
    """Kill a walk after its first row."""

    def kill(done, _):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        walk(objective, around(objective), (2, 3), question={}, keep=keep, progress=kill)


def test_rows_and_columns(square):
    subject = square([1.0, 2.0])
    found = walk(subject, around(subject), (2, 3), question={})
    expected = [[(1 + r + i) ** 2 + (2 + r + i) ** 2 for i in range(3)] for r in range(2)]
    assert found["loss"].tolist() == expected
    assert set(found) == {"loss", "accuracy"}


def test_the_same_loss_at_another_w_is_another_question(square, tmp_path):
    here, there = square([1.0, 2.0]), square([-1.0, -2.0])
    assert here.value() == there.value()
    stopped(here, tmp_path / "rows")
    found = walk(there, around(there), (2, 3), question={}, keep=tmp_path / "rows")
    assert found["loss"][0].tolist() == [5.0, 1.0, 1.0]


def test_the_same_loss_on_other_data_is_another_question(tmp_path):
    def on(x):
        model = torch.nn.Linear(1, 1, bias=False).double()
        torch.nn.init.ones_(model.weight)
        data = [(torch.tensor([[x]], dtype=torch.float64), None)]
        return Objective(model, data, lambda m, b: (m(b.x) ** 2).mean())

    stopped(on(1.0), tmp_path / "rows")
    subject = on(-1.0)
    calls = []
    asked = subject.evaluate
    subject.evaluate = lambda points, **options: calls.append(1) or asked(points, **options)
    walk(subject, around(subject), (2, 3), question={}, keep=tmp_path / "rows")
    assert len(calls) == 2


def test_what_is_kept_is_not_asked_again(square, tmp_path):
    subject = square([1.0, 2.0])
    whole = walk(subject, around(subject), (2, 3), question={})
    stopped(subject, tmp_path / "rows")
    rows = []

    def points(row):
        rows.append(row)
        return around(subject)(row)

    found = walk(subject, points, (2, 3), question={}, keep=tmp_path / "rows")
    assert rows == [1]
    np.testing.assert_array_equal(found["loss"], whole["loss"])
