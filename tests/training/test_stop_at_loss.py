"""Stopping at a loss: the point on the segment in closed form, runs that meet it, refusals."""

import math

import pytest
import torch
from torch import nn

from landscape.study.cell import cell_folder
from landscape.training.loop import Training
from landscape.training.settings import Settings
from landscape.training.stopping.at_loss import TOLERANCE, Stop, crossing, stop_between
from landscape.training.train import settings_for, train

LEVEL = 0.3
PLAIN = {"epochs": 30, "schedule": "constant", "evaluate_every": 0, "device": "cpu"}


class Quadratic(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def loss(self):
        return float(0.5 * (self.w.detach() ** 2 * torch.tensor([9.0, 1.0])).sum())


def test_the_point_of_a_quadratic_in_closed_form():
    """L = (9x² + y²)/2 on the segment from (2, 2) to (0, 0) is 20 (1 − t)²."""
    model, before = Quadratic([0.0, 0.0]), Quadratic([2.0, 2.0]).state_dict()
    met = stop_between(model, before, 5.0, model.loss)
    assert met == Stop(0.5, 5.0)  # 20 (1 − t)² = 5
    assert torch.equal(model.w.detach(), torch.tensor([1.0, 1.0]))
    assert model.loss() == 5.0


@pytest.mark.parametrize("level", [0.01, 0.3, 1.7, 19.0])
def test_any_level_is_met_within_two_percent(level):
    model, before = Quadratic([0.0, 0.0]), Quadratic([2.0, 2.0]).state_dict()
    met = stop_between(model, before, level, model.loss)
    assert abs(model.loss() / level - 1) <= TOLERANCE
    assert model.loss() == met.loss
    assert met.share == pytest.approx(1 - math.sqrt(level / 20), abs=0.02)


def test_an_end_that_is_near_enough_stays():
    model = Quadratic([0.1, 0.1])
    asked = []

    def loss():
        asked.append(model.loss())
        return asked[-1]

    assert stop_between(model, {}, model.loss() * 1.01, loss).share == 1.0
    assert len(asked) == 1


def test_a_step_in_the_loss_ends_below_the_level():
    met = crossing(lambda t: 0.1 if t >= 0.3 else 1.0, 0.1, 0.5)
    assert met.loss == 0.1
    assert met.share == pytest.approx(0.3)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(
        "digits", "sam", 0, tmp_path_factory.mktemp("stop") / "run",
        settings={"training": {**PLAIN, "stop_at_loss": LEVEL}},
    )  # fmt: skip


def test_a_run_ends_at_the_level(run):
    """Against a run without it: the weights lie between those of its last two epochs."""
    last, met = run.metrics[-1], run.status["stop_at_loss"]
    assert met["met"]
    assert 0 < met["share"] <= 1
    assert last["train_loss"] == met["loss"] == pytest.approx(LEVEL, rel=TOLERANCE)
    assert run.objective("train", examples=5000).value() == pytest.approx(met["loss"], rel=1e-5)
    epochs = run.status["epoch"]
    assert last["epoch"] == epochs < 30
    longer = Training(
        settings_for("digits", "sam", 0, {"training": PLAIN}),
        run.task,
        run.task.load(None),
    )
    ends = []
    for _ in range(epochs):
        list(longer.run_epoch())
        ends.append((longer.walker.w, longer.loss_at_hand()))
    (before, high), (after, low) = ends[-2:]
    assert low <= LEVEL < high
    w = torch.cat([p.detach().flatten() for p in run.model().parameters()])
    expected = before.double() + met["share"] * (after.double() - before.double())
    assert torch.allclose(w.double(), expected, atol=1e-6)


@pytest.mark.parametrize("at", [0.02, 0.05])
def test_stopped_and_resumed_is_the_same_bit_for_bit(run, tmp_path, at):
    def stop(told):
        if told.label and told.done >= at:
            raise KeyboardInterrupt

    settings = {"training": {**PLAIN, "stop_at_loss": LEVEL}}
    with pytest.raises(KeyboardInterrupt):
        train("digits", "sam", 0, tmp_path, settings=settings, progress=stop)
    again = train("digits", "sam", 0, tmp_path, settings=settings, resume=True)
    assert again.status == run.status
    for name, weight in again.model().state_dict().items():
        assert torch.equal(weight, run.model().state_dict()[name])


def test_an_interruption_after_the_last_epoch_keeps_the_stop(run):
    t = Training(run.settings, run.task, run.task.load(None))
    while not t.done:
        list(t.run_epoch())
    kept = t.boundary()
    again = Training(run.settings, run.task, run.task.load(None))
    again.restore(kept)
    assert again.done
    assert again.outcome() == t.outcome() == {"stop_at_loss": run.status["stop_at_loss"]}


def test_a_level_that_is_not_met_is_said(tmp_path):
    from landscape.analysis import hints

    settings = {"training": {**PLAIN, "epochs": 1, "stop_at_loss": 1e-3}}
    run = train("digits", "sgd", 0, tmp_path, settings=settings)
    assert run.status == {"state": "finished", "epoch": 1, "stop_at_loss": {"met": False}}
    assert "did not come down to a training loss of 0.001 in 1 epochs" in hints.of_runs([run])[0]


def test_the_default_changes_no_folder_and_reads_old_settings(tmp_path):
    plain, same, other = (
        cell_folder(tmp_path, settings_for("digits", "sgd", 0, {"training": extra}))
        for extra in ({}, {"stop_at_loss": None}, {"stop_at_loss": 0.1})
    )
    assert plain == same != other
    tree = settings_for("digits", "sgd", 0, {}).to_dict()
    del tree["training"]["stop_at_loss"]
    assert Settings.from_dict(tree) == settings_for("digits", "sgd", 0, {})


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"`training\.stop_at_loss` must be positive\. Got 0"):
        settings_for("digits", "sgd", 0, {"training": {"stop_at_loss": 0.0}})
    level = {"training": {"device": "cpu", "stop_at_loss": 3.0}}
    with pytest.raises(ValueError, match="must be below the loss at the start, 2"):
        train("digits", "sgd", 0, tmp_path / "a", settings=level)
    with pytest.raises(ValueError, match="running statistics of batch norm belong to neither"):
        train("digits-cnn", "sgd", 0, tmp_path / "b", settings=level)
