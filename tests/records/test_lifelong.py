"""Metrics of a sequence of tasks against numbers worked by hand."""

import numpy as np
import pytest

from landscape import records
from landscape.records import LifelongRecord

NAN = float("nan")
WORKED = [[0.90, 0.50, 0.50], [0.94, 0.80, 0.50], [0.70, 0.84, 0.96]]


def record(a, start=None, **fields):
    a = np.array(a, dtype=float)
    count = len(a)
    start = np.full(count, 0.5) if start is None else np.array(start)
    return LifelongRecord(
        accuracy=a, start=start, loss=1 - a, start_loss=1 - start, grad_evals=np.arange(count),
        seconds=np.arange(count), classes=np.arange(2 * count).reshape(count, 2), **fields,
    )  # fmt: skip


def test_three_tasks_by_hand():
    """Forgetting: (.94 − .70 + .80 − .84)/2; the best of task 1 is after task 2, not after 1."""
    found = record(WORKED)
    assert found.average_accuracy == pytest.approx(2.5 / 3)
    assert found.forgetting == pytest.approx(0.10)
    assert found.learning_accuracy == pytest.approx(2.66 / 3)
    assert found.backward_transfer == pytest.approx(-0.08)
    assert found.forward_transfer == pytest.approx(0.0)


def test_forward_transfer_counts_from_before_the_first_task():
    found = record([[0.9, 0.6, 0.1], [0.9, 0.9, 0.8], [0.9, 0.9, 0.9]], start=[0.5, 0.5, 0.4])
    assert found.forward_transfer == pytest.approx((0.1 + 0.4) / 2)


def test_one_task_has_nothing_to_forget():
    found = record([[0.9]])
    assert (found.average_accuracy, found.learning_accuracy) == (0.9, 0.9)
    assert np.isnan([found.forgetting, found.backward_transfer, found.forward_transfer]).all()


def test_weights_that_never_move_forget_nothing():
    a = np.tile([0.3, 0.5, 0.7, 0.1], (4, 1))
    found = record(a, start=a[0])
    assert (found.forgetting, found.backward_transfer, found.forward_transfer) == (0, 0, 0)


def test_a_task_that_was_not_reached_leaves_no_number():
    found = record([[0.9, 0.5, 0.5], [0.8, 0.9, 0.5], [NAN, NAN, NAN]])
    assert np.isnan([found.average_accuracy, found.forgetting, found.learning_accuracy]).all()


def test_a_record_comes_back_from_its_file(tmp_path):
    before = record(
        WORKED, replay="balanced", memory=60, quantities=np.array(["lambda_max"]),
        measured=np.array([[3.0], [2.0], [1.0]]), position=np.array([0.0, 1.0]),
        path_accuracy=np.full((3, 3, 2), 0.5),
    )  # fmt: skip
    before.save(tmp_path / "lifelong.nc")
    after = records.load(tmp_path / "lifelong.nc")
    assert np.array_equal(after.accuracy, before.accuracy) and after.forgetting == before.forgetting
    assert after.quantity("lambda_max").tolist() == [3, 2, 1] and after.memory == 60
    assert np.isnan(after.quantity("trace")).all() and np.isnan(record(WORKED).quantity("x")).all()


def test_a_file_cannot_claim_other_metrics_than_its_matrix_has():
    assert record(WORKED, forgetting=7.0).forgetting == pytest.approx(0.10)
