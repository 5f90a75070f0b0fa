"""Tasks one after the other: against plain trainings, a loop in plain torch, and themselves."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import landscape as ls
from landscape.lifelong.heads import of_task
from landscape.methods import PAPERS
from landscape.tasks.registry import TASKS
from landscape.training import checkpoint
from landscape.training.loop import Training
from landscape.training.protocols.lifelong import LifelongTraining, begin_task
from landscape.training.settings import resolve
from landscape.utils.rng import seed_of

pytestmark = pytest.mark.slow  # runs the program from end to end

SPLIT, DIGITS = TASKS["split-digits"], TASKS["digits"]
TIMING = ("seconds", "examples_per_second")


@pytest.fixture(scope="module")
def digits():
    """Few enough that five tasks take a moment."""
    from dataclasses import replace

    whole = DIGITS.load(None)
    return replace(
        whole, train_x=whole.train_x[:300], train_y=whole.train_y[:300], test_x=whole.test_x[:100],
        test_y=whole.test_y[:100], fingerprint="few",
    )  # fmt: skip


def lifelong(digits, method="sgd", seed=0, **layer):
    layer = {"training": {"device": "cpu", "epochs": 2}, **layer}
    settings = resolve("split-digits", method, seed, SPLIT.defaults, layer)
    return LifelongTraining(settings, SPLIT, digits)


def run(training):
    while not training.done:
        list(training.run_epoch())
    return training


def untimed(rows):
    return [{k: v for k, v in row.items() if k not in TIMING} for row in rows]


@pytest.mark.parametrize("method", [*PAPERS, "lookahead"])
def test_one_task_in_fixed_order_is_a_plain_training(digits, method):
    layers = DIGITS.defaults, {"training": {"epochs": 1, "device": "cpu"}}
    one = {"lifelong": {"tasks": 1, "order": "fixed"}}
    plain = run(Training(resolve("digits", method, 0, *layers), DIGITS, digits))
    ours = run(LifelongTraining(resolve("digits", method, 0, *layers, one), DIGITS, digits))
    assert torch.equal(plain.walker.w, ours.current.walker.w)
    rows = [{k: v for k, v in row.items() if k != "task"} for row in untimed(ours.rows)]
    assert str(rows) == str(untimed(plain.rows))
    assert ours.results[1]["accuracy_1"] == plain.rows[-1]["test_accuracy"]


def test_two_tasks_are_those_of_a_loop_in_plain_torch(digits):
    layer = {"lifelong": {"tasks": 2, "gamma": 0.5}, "training": {"device": "cpu", "epochs": 2}}
    ours = lifelong(digits, **layer)
    model = copy.deepcopy(ours.model)
    model._forward_hooks.clear(), model._forward_pre_hooks.clear()
    run(ours)
    order = np.random.RandomState(0).permutation(10).reshape(2, 5)
    x, y = digits.train_x, digits.train_y
    for task, classes in enumerate(order):
        rows = torch.isin(y, torch.from_numpy(classes))
        inputs = x[rows]
        labels = (y[rows][:, None] == torch.from_numpy(classes)).int().argmax(1)
        held = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
        kept = held[round(0.1 * len(inputs)) :].sort().values
        inputs, labels = inputs[kept], labels[kept]
        seed = seed_of(0, "task", 1) if task else 0
        for epoch in range(2):
            g = torch.Generator().manual_seed(seed_of(seed, "order", epoch))
            shuffled = torch.randperm(len(inputs), generator=g)
            for batch in shuffled[: len(inputs) // 10 * 10].split(10):
                outputs = model(inputs[batch]).view(-1, 2, 5)[:, task]
                model.zero_grad()
                F.cross_entropy(outputs, labels[batch]).backward()
                with torch.no_grad():
                    for p in model.parameters():
                        p -= 0.3 * 0.5**task * p.grad
    expected = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.allclose(ours.current.walker.w, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "own"),
    [
        ("sgd", {"replay": "reservoir", "between": "keep"}),
        ("lets", {"replay": "balanced"}),
        ("lookahead", {"replay": "reservoir"}),
    ],
)
def test_a_run_killed_inside_task_three_goes_on_bit_for_bit(digits, tmp_path, method, own):
    layer = {"lifelong": own, "training": {"device": "cpu", "epochs": 2, "momentum": 0.5}}
    whole, first = run(lifelong(digits, method, **layer)), lifelong(digits, method, **layer)
    for _ in range(4):
        list(first.run_epoch())
    inside = first.run_epoch()
    for _ in range(3):
        next(inside)
    assert first.index == 2 and first.current.partial is not None
    checkpoint.save(tmp_path / "checkpoint.pt", first.boundary())
    second = lifelong(digits, method, **layer)
    second.restore(checkpoint.load(tmp_path / "checkpoint.pt"))
    assert untimed(second.rows) == untimed(first.rows) and second.spent == first.spent
    run(second)
    assert torch.equal(whole.current.walker.w, second.current.walker.w)
    assert untimed(whole.rows) == untimed(second.rows)
    assert untimed(whole.results) == untimed(second.results)
    assert torch.equal(whole.memory.rows, second.memory.rows)


def test_a_boundary_between_two_tasks_carries_everything(digits):
    whole, first = run(lifelong(digits)), lifelong(digits)
    for _ in range(2):
        list(first.run_epoch())
    assert first.ended == 1
    second = lifelong(digits)
    second.restore(first.boundary())
    assert untimed(run(second).rows) == untimed(whole.rows)


def test_a_step_has_as_many_remembered_examples_as_new_ones(digits):
    """From the second task on; the remembered ones are of the tasks before, shuffled among them."""
    training = lifelong(digits, lifelong={"replay": "balanced"})
    sizes = []
    while not training.done:
        steps = iter(training.run_epoch())
        next(steps)
        batch = next(training.current.epoch_batches())
        task, index = batch.x["task"], training.index
        sizes.append(batch.size)
        assert int((task == index).sum()) == 10
        assert index == 0 or task[task != index].unique().max() < index
        assert index == 0 or not torch.equal(task, task.sort(descending=True).values)
        list(steps)
    assert sizes == [10, 10, *[20] * 8]


def test_held_out_batches_have_earlier_tasks_in_the_proportions_of_the_memory(digits):
    training = lifelong(digits, lifelong={"replay": "balanced"}, data={"held_out": 0.3})
    while training.index < 3:
        list(training.run_epoch())
    counts = torch.zeros(5)
    draw = torch.Generator().manual_seed(0)
    examples = training.current.examples
    for _ in range(30):
        for batch in examples.held_out_batches(lambda _: draw):
            counts += torch.bincount(batch.x["task"], minlength=5)
    assert counts[3] == counts[:3].sum() and counts[4] == 0
    share = counts[:3] / counts[:3].sum()
    assert (share - 1 / 3).abs().max() < 4 * (2 / 9 / float(counts[:3].sum())) ** 0.5


def test_each_task_has_a_new_optimizer_unless_it_is_kept(digits):
    momentum = {"device": "cpu", "epochs": 1, "momentum": 0.9}
    for between, empty in (("renew", True), ("keep", False)):
        training = lifelong(digits, lifelong={"between": between}, training=momentum)
        list(training.run_epoch())
        steps = training.run_epoch()
        training._next_task()
        assert (not training.current.optimizer.state_dict()["state"]) is empty
        steps.close()


def test_the_learning_rate_falls_from_task_to_task(digits):
    training = run(lifelong(digits, lifelong={"gamma": 0.5}))
    rates = {row["task"]: row["learning_rate"] for row in training.rows}
    assert rates == {task + 1.0: pytest.approx(0.3 * 0.5**task) for task in range(5)}


def test_a_radius_goes_on_and_slow_weights_begin_anew():
    lets, lookahead = ls.methods.LETS(over=ls.methods.SAM()), ls.methods.Lookahead()
    lets.kept, lookahead.slow, lookahead.taken = torch.ones(2), torch.ones(2), 1
    lets.learned = lets.learned._replace(value=torch.tensor(3.0))
    begin_task(lets)
    begin_task(lookahead)
    assert lets.kept is None and float(lets.learned.value) == 3.0
    assert (lookahead.slow, lookahead.taken) == (None, 0)


def test_metrics_are_means_over_the_tasks_so_far(digits):
    training = run(lifelong(digits))
    for i in range(1, 6):
        row = next(r for r in reversed(training.rows) if r["task"] == i)
        seen = [training.results[i][f"accuracy_{j}"] for j in range(1, i + 1)]
        assert row["test_accuracy"] == pytest.approx(np.mean(seen), abs=1e-12)
    assert [row["epoch"] for row in training.rows] == list(range(11))
    assert training.rows[-1]["step"] == training.steps


def test_training_follows_no_sharpness_over_a_sequence(digits):
    with pytest.raises(ValueError, match=r"`training.measure_every` follows one training"):
        lifelong(digits, training={"measure_every": 5})


def test_all_outputs_are_trained_where_tests_alone_are_masked(digits):
    training = lifelong(digits, lifelong={"masked": "test"})
    before = training.model.head.weight.detach().clone()
    list(training.run_epoch())
    assert ((training.model.head.weight != before).any(1)).all()
    assert run(training).rows[-1]["test_accuracy"] > 0.5
    row = training.sequence.test[0].rows(slice(1))
    assert of_task(training.model(row.x), row.x["task"], 5).shape == (1, 2)
