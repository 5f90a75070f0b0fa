"""Tasks that each stop at a loss: against a loop in plain torch, and themselves resumed."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from landscape.analysis import hints
from landscape.tasks.registry import TASKS
from landscape.training import checkpoint
from landscape.training.loop import Training
from landscape.training.protocols.lifelong import LifelongTraining
from landscape.training.settings import resolve
from landscape.training.stopping.at_loss import TOLERANCE
from landscape.training.train import train
from landscape.utils.rng import seed_of

SPLIT, DIGITS = TASKS["split-digits"], TASKS["digits"]
LEVEL, RATE, BATCH = 0.1, 0.3, 10
SETTINGS = {"epochs": 20, "stop_at_loss": LEVEL, "evaluate_every": 0, "device": "cpu"}
TWO = {"tasks": 2, "order": "fixed"}


@pytest.fixture(scope="module")
def digits():
    whole = DIGITS.load(None)
    return replace(
        whole, train_x=whole.train_x[:200], train_y=whole.train_y[:200], test_x=whole.test_x[:60],
        test_y=whole.test_y[:60], fingerprint="few",
    )  # fmt: skip


def sequence(digits, method="sgd", **training):
    layer = {
        "training": {**SETTINGS, **training},
        "data": {"held_out": 0.0, "batch_size": BATCH},
        "lifelong": TWO,
    }
    return LifelongTraining(
        resolve("split-digits", method, 0, SPLIT.defaults, layer), SPLIT, digits
    )


def run(training):
    while not training.done:
        list(training.run_epoch())
    return training


def of_task(digits, task):
    """Images and labels from 0 of classes 0-4, or of 5-9."""
    rows = digits.train_y // 5 == task
    return digits.train_x[rows], digits.train_y[rows] % 5


def loss_of(model, digits, task):
    x, y = of_task(digits, task)
    with torch.no_grad():
        return float(F.cross_entropy(model(x)[:, 5 * task : 5 * task + 5], y))


def epoch_of_sgd(model, digits, task, epoch):
    x, y = of_task(digits, task)
    seed = seed_of(0, "task", 1) if task else 0
    generator = torch.Generator().manual_seed(seed_of(seed, "order", epoch))
    for rows in torch.randperm(len(x), generator=generator)[: len(x) // BATCH * BATCH].split(BATCH):
        model.zero_grad()
        F.cross_entropy(model(x[rows])[:, 5 * task : 5 * task + 5], y[rows]).backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= RATE * p.grad if p.grad is not None else 0


@pytest.fixture(scope="module")
def ended(digits):
    return run(sequence(digits))


def test_each_task_is_a_loop_in_plain_torch_back_to_the_level(digits, ended):
    """Each ends at the level of its own examples, and the next one starts there."""
    model = copy.deepcopy(sequence(digits).model)
    model._forward_hooks.clear(), model._forward_pre_hooks.clear()
    for task, met in enumerate(ended.outcome()["stop_at_loss"]["tasks"]):
        epoch = 0
        while loss_of(model, digits, task) > LEVEL:
            before = [p.detach().clone() for p in model.parameters()]
            epoch_of_sgd(model, digits, task, epoch)
            epoch += 1
        with torch.no_grad():
            for p, start in zip(model.parameters(), before, strict=True):
                p.copy_(torch.lerp(start.double(), p.double(), met["share"]))
        assert loss_of(model, digits, task) == pytest.approx(met["loss"], rel=1e-4)
        assert met["met"]
        assert met["loss"] == pytest.approx(LEVEL, rel=TOLERANCE)
        assert ended.results[task + 1]["task"] == task + 1
    expected = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.allclose(ended.current.walker.w, expected, atol=1e-4)
    assert epoch == ended.current.epoch < 20


def test_the_level_is_that_of_the_task_at_hand_not_of_the_mean(digits, ended):
    assert ended.rows[-1]["train_loss"] > 1.2 * LEVEL  # the first task is forgotten a little
    assert ended.stops[1]["loss"] == pytest.approx(LEVEL, rel=TOLERANCE)


@pytest.mark.thinned(2)
@pytest.mark.parametrize(("epochs", "steps"), [(1, 3), (None, 0), (None, 2)])
def test_stopped_and_resumed_is_the_same_bit_for_bit(digits, ended, tmp_path, epochs, steps):
    """Inside task 1, between the tasks, and inside task 2."""
    first = sequence(digits)
    while first.epoch < (epochs or 99) and not first.ended:
        list(first.run_epoch())
    going = first.run_epoch()
    for _ in range(steps):
        next(going)
    checkpoint.save(tmp_path / "checkpoint.pt", first.boundary())
    second = sequence(digits)
    second.restore(checkpoint.load(tmp_path / "checkpoint.pt"))
    run(second)
    assert second.outcome() == ended.outcome()
    assert torch.equal(second.current.walker.w, ended.current.walker.w)


def test_one_task_is_a_plain_training_that_stops(digits):
    layers = DIGITS.defaults, {"training": {**SETTINGS, "stop_at_loss": 0.5}}
    one = {"lifelong": {"tasks": 1, "order": "fixed"}}
    plain = run(Training(resolve("digits", "sam", 0, *layers), DIGITS, digits))
    ours = run(LifelongTraining(resolve("digits", "sam", 0, *layers, one), DIGITS, digits))
    assert torch.equal(plain.walker.w, ours.current.walker.w)
    met = plain.outcome()["stop_at_loss"]
    assert ours.outcome() == {"stop_at_loss": {"met": True, "tasks": [met]}}


def test_a_level_that_a_task_does_not_meet_is_said(tmp_path):
    settings = {
        "training": {**SETTINGS, "epochs": 1, "stop_at_loss": 1e-3, "lr": 0.01},
        "data": {"batch_size": 128},
        "lifelong": TWO,
    }
    ended = train("split-digits", "sgd", 0, tmp_path, settings=settings)
    each = [{"met": False}, {"met": False}]
    assert ended.status["stop_at_loss"] == {"met": False, "tasks": each}
    assert "did not come down to a training loss of 0.001" in hints.of_runs([ended])[0]


def test_a_sequence_has_met_its_level_where_every_task_did(digits):
    training = run(sequence(digits, stop_at_loss=1.0))
    assert training.outcome()["stop_at_loss"]["met"]
    training.stops[0] = {"met": False}
    assert training.outcome()["stop_at_loss"]["met"] is False
    training.stops = training.stops[1:]
    assert training.outcome()["stop_at_loss"]["met"] is False


def test_a_task_that_needs_no_step_is_refused(digits):
    """Large images make the loss of task 1 large before its first step, that of task 2 is log 5."""
    x = torch.where((digits.train_y < 5).view(-1, 1, 1, 1), 40 * digits.train_x, 0 * digits.train_x)
    training = sequence(replace(digits, train_x=x), stop_at_loss=1.9, lr=0.01)
    with pytest.raises(ValueError, match=r"below the loss of task 2 before its first step, 1\.\d+"):
        run(training)


def test_a_sequence_without_a_level_says_nothing(digits):
    assert sequence(digits, stop_at_loss=None, epochs=1).outcome() == {}
