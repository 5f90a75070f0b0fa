"""Forgetting as a target: its definition by hand, and a network's numbers against plain torch."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd.functional import hessian
from torch.func import functional_call

import landscape as ls
from landscape.correlation.forgetting import change
from landscape.correlation.grid import Grid
from landscape.correlation.networks import networks_of
from landscape.correlation.table import numbers_of, table_of
from landscape.records.lifelong import backward_transfer, forgetting
from landscape.statistics.granulated import PREDICTS
from landscape.statistics.grid_answers import answers_of
from landscape.statistics.network_table import NetworkTable
from landscape.tasks.registry import TASKS
from landscape.training.run import task_folder

ACCURACY = np.array([[0.9, 0.5, 0.5], [0.94, 0.8, 0.5], [0.7, 0.84, 0.96]])
LEVEL = 0.5
GRID = Grid(
    "split-digits",
    LEVEL,
    {"training.lr": [0.2, 0.4]},
    {
        "training": {"epochs": 40, "schedule": "constant", "evaluate_every": 0, "device": "cpu"},
        "data": {"held_out": 0.0, "batch_size": 64},
        "lifelong": {"tasks": 2, "order": "fixed"},
    },
    model_args={"hidden": [4]},
)


def test_forgetting_of_a_matrix_by_hand():
    assert -change(ACCURACY) == pytest.approx(0.9 - 0.7)
    two = ACCURACY[:2, :2]
    assert -change(two) == forgetting(two, two[0]) == -backward_transfer(two, two[0])


def test_a_measure_that_orders_as_forgetting_does_has_psi_one():
    axes = list(itertools.product(("0.1", "0.2", "0.4"), ("16", "64"), ("sgd", "sam")))
    settings = dict(zip(("lr", "width", "method"), zip(*axes, strict=True), strict=True))
    draw = np.random.default_rng(0)
    forgot = draw.normal(0.1, 0.02, len(axes))
    numbers = {
        "lambda_max": 20 * forgot,
        "noise_sigma_5": 0.2 - forgot,  # the flatter of two networks bears more noise
        "trace": draw.normal(size=len(axes)),
        "moved": draw.normal(size=len(axes)),
        "forgetting": forgot,
        "loss_rise": -forgot,
    }
    answers = answers_of(
        NetworkTable(settings, [0] * len(axes), ["reached"] * len(axes), numbers), resamples=200
    )
    assert answers.targets == ["forgetting", "loss_rise"]
    for target, sign in (("forgetting", 1), ("loss_rise", -1)):
        found = {a.measure: a for a in answers.of(target)}
        for name in ("lambda_max", "noise_sigma_5"):
            assert found[name].correlations.Psi.tau == sign
            assert (found[name].verdict == PREDICTS) == (sign == 1)
        assert found["moved"].role == "yardstick"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One network of the grid, its λ max measured as its cell would."""
    folder = tmp_path_factory.mktemp("grid")
    cell = replace(networks_of(GRID, folder, 1, None)[0].cell, measures=("eigenvalues",))
    assert cell.after == 1
    yield replace(cell, options={"eigenvalues": {"k": 1}}).run(lambda _: None)
    del TASKS[cell.task]


def of_first_task(run, part):
    data = run.task.load(None)
    x, y = getattr(data, f"{part}_x"), getattr(data, f"{part}_y")
    return x[y < 5], y[y < 5]


def loss_and_accuracy(model, x, y):
    model._forward_hooks.clear(), model._forward_pre_hooks.clear()
    with torch.no_grad():
        outputs = model(x)[:, :5]
    return float(F.cross_entropy(outputs, y)), float((outputs.argmax(1) == y).double().mean())


def vector(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).double()


def test_numbers_are_those_of_plain_torch(run):
    row = numbers_of(run)
    first, last = run.model(after=1), run.model()
    tests = of_first_task(run, "test")
    (loss, accuracy), (later_loss, later) = (loss_and_accuracy(m, *tests) for m in (first, last))
    assert row["forgetting"] == pytest.approx(accuracy - later, abs=1e-6)
    assert row["loss_rise"] == pytest.approx(later_loss - loss, rel=1e-4)
    assert row["train_loss"] == pytest.approx(LEVEL, rel=0.02)
    trained = of_first_task(run, "train")
    assert loss_and_accuracy(first, *trained)[0] == pytest.approx(row["train_loss"], rel=1e-4)
    assert row["moved"] == pytest.approx(float((vector(last) - vector(first)).norm()), rel=1e-6)
    assert row["w_norm"] == pytest.approx(float(vector(first).norm()), rel=1e-6)
    rows = [r for r in run.metrics if r["task"] == 1]
    assert row["steps"] == rows[-1]["step"] < run.metrics[-1]["step"]
    assert not {"gap_loss", "gap_error", "test_loss", "noise_intolerance"} & row.keys()


def test_the_bound_is_that_of_a_dense_hessian_after_the_first_task(run):
    row = numbers_of(run)
    model = run.model(after=1).double()
    model._forward_hooks.clear(), model._forward_pre_hooks.clear()
    x, y = of_first_task(run, "train")
    shapes = {name: p.shape for name, p in model.named_parameters()}

    def loss(w):
        pieces = w.split([math.prod(s) for s in shapes.values()])
        named = {n: v.view(s) for (n, s), v in zip(shapes.items(), pieces, strict=True)}
        return F.cross_entropy(functional_call(model, named, (x.double(),))[:, :5], y)

    top = float(torch.linalg.eigvalsh(hessian(loss, vector(model)))[-1])
    assert row["lambda_max"] == pytest.approx(top, rel=1e-3)
    assert row["forgetting_bound"] == pytest.approx(0.5 * top * row["moved"] ** 2, rel=1e-3)


def test_it_is_measured_after_the_first_task_alone(run):
    assert (task_folder(run.path, 1) / "records" / "eigenvalues.nc").is_file()
    assert not (run.path / "records").exists()
    assert not (task_folder(run.path, 2) / "records").exists()


def test_a_task_that_did_not_arrive_is_named(tmp_path):
    short = {**GRID.settings, "training": {**GRID.settings["training"], "epochs": 1}}
    grid = replace(GRID, settings=short, level=0.01)
    networks = networks_of(grid, tmp_path, 1, None)[:1]
    replace(networks[0].cell, measures=()).run(lambda _: None)
    table = table_of(grid, networks, {})
    assert table.states == ["not reached: task 1 and 2, 1 epochs at most"]


def test_refusals(run, tmp_path):
    one = replace(GRID, settings={**GRID.settings, "lifelong": {"tasks": 1}})
    with pytest.raises(ValueError, match=r"`lifelong\.tasks` must be at least 2: .* Got 1"):
        networks_of(one, tmp_path, 1, None)
    with pytest.raises(ValueError, match=r"`after` must be the number of a task, 1 to 2\. Got 3"):
        ls.analyze(run, ["eigenvalues"], after=3)
    short = {"training": {"epochs": 1, "device": "cpu"}}
    plain = ls.train("digits", "sgd", 0, tmp_path / "plain", settings=short)
    with pytest.raises(ValueError, match="`after` is the task of a run over a sequence"):
        ls.analyze(plain, ["eigenvalues"], after=1)
    grid = Grid("digits", 0.5, {"training.lr": [0.1, 0.2]})
    assert networks_of(grid, tmp_path, 1, None)[0].cell.after is None
