"""Measures after each task of a run, and the lines between the weights."""

import numpy as np
import pytest

import landscape as ls
from landscape.records import load_all
from landscape.training.run import Run, task_folder

pytestmark = pytest.mark.slow  # runs the program from end to end

SHORT = {"training": {"epochs": 1, "device": "cpu"}, "lifelong": {"measure": "task", "tasks": 2}}


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory):
    out = tmp_path_factory.mktemp("lifelong") / "run"
    run = ls.train("split-digits", "sgd", out=out, settings=SHORT)
    options = {"eigenvalues": {"k": 1, "tolerance": 0.1}}
    return run, ls.analyze(run, ["eigenvalues"], options=options, examples=40), options


def test_the_record_has_the_measures_after_each_task(analyzed):
    run, found, _ = analyzed
    record = found["lifelong"]
    after_first = load_all(task_folder(run.path, 1))["eigenvalues"]
    expected = [after_first.values.max(), found["eigenvalues"].values.max()]
    assert record.quantity("lambda_max").tolist() == expected
    assert after_first.point.examples == found["eigenvalues"].point.examples == 40
    assert after_first.point.fingerprint != found["eigenvalues"].point.fingerprint


def test_a_measure_after_a_task_is_of_the_loss_on_the_tasks_up_to_it(analyzed):
    run, *_ = analyzed
    objective = run.objective("train", examples=10_000, after=1)
    assert {int(b.x["task"].max()) for b in objective.given} == {0}
    whole = run.objective("train", examples=10_000)
    assert whole.examples > objective.examples
    assert whole.value() == pytest.approx(float(np.mean([run.metrics[-1]["train_loss"]])), rel=0.05)


def test_lines_between_tasks_end_at_the_accuracies_of_the_matrix(analyzed):
    record = analyzed[1]["lifelong"]
    line = record.path_accuracy[1, 0]
    assert record.position[[0, -1]].tolist() == [0, 1]
    assert line[0] == pytest.approx(record.accuracy[0, 0])
    assert line[-1] == pytest.approx(record.accuracy[1, 0])
    assert np.isnan(record.path_accuracy[0]).all() and np.isnan(record.path_accuracy[1, 1]).all()


def test_what_is_there_is_not_measured_again(analyzed, monkeypatch):
    run, before, options = analyzed
    monkeypatch.setattr(Run, "objective_on_task", None)
    again = ls.analyze(run, ["eigenvalues"], options=options, examples=40)["lifelong"]
    assert np.array_equal(again.measured, before["lifelong"].measured)
    assert np.array_equal(again.path_accuracy, before["lifelong"].path_accuracy, equal_nan=True)


def test_unseen_heads_do_not_disturb_a_measure(analyzed):
    """After the first task the head of the second has gradient zero and no curvature."""
    run, *_ = analyzed
    objective = run.objective("train", examples=40, after=1)
    grad = objective.grad()[objective.layers["head.weight"]].view(2, 5, -1)
    first, second = (grad[j].abs().sum() for j in (0, 1))
    assert first > 0 and second == 0
    assert np.isfinite(ls.measures.RelativeFlatness()(objective).value)


def test_other_runs_have_no_measures_by_task(tmp_path):
    end = {**SHORT, "lifelong": {"tasks": 2}}
    run = ls.train("split-digits", "sgd", out=tmp_path / "run", settings=end)
    found = ls.analyze(run, ["eigenvalues"], options={"eigenvalues": {"k": 1}}, examples=20)
    assert set(found) == {"eigenvalues"} and run.records()["lifelong"].measured is None
    assert not (task_folder(run.path, 1) / "records").exists()
