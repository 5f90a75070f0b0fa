"""Plans: what is to do, what is there, what it costs; and that nothing is written."""

import time
from dataclasses import replace

import pytest
import torch

from landscape.analysis.analyze import analyze, measure_of
from landscape.analysis.minimum import of_run
from landscape.measures import MEASURES
from landscape.objective.objective import Objective
from landscape.study import dry_run
from landscape.study.design import Design
from landscape.tasks.registry import cross_entropy, task
from landscape.training.run import load_data
from landscape.training.train import settings_for, train

SHORT = {"training": {"epochs": 2, "device": "cpu"}}
FAST = {"noise": {"sigmas": (0.0, 0.1), "draws": 2}}


@pytest.fixture
def counted(monkeypatch):
    """Time in steps: every step takes a second per example."""
    monkeypatch.setattr(dry_run, "_seconds", lambda step, size: [step(size), 1.0][1])


def test_a_training_is_counted_as_it_happens(tmp_path):
    plan = dry_run.of_training("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    assert [(p.name, p.count, p.kept) for p in plan.parts] == [("train sam", 1, 0)]
    timed = plan.timed()
    assert not list(tmp_path.iterdir())
    (part,) = timed.parts
    run = train("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    last = run.metrics[-1]
    assert part.note.startswith(f"2 passes a step, {last['step']:.0f} steps of ")
    assert timed.seconds == part.seconds > 0
    assert timed.sizes["weights"] == 4 * sum(p.numel() for p in run.model().parameters())
    assert timed.sizes["optimizer's state"] == timed.sizes["weights"]  # momentum
    assert timed.memory > 10 * 2**20
    again = dry_run.of_training("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    assert [(p.count, p.kept) for p in again.parts] == [(0, 1)]
    assert again.timed().seconds == 0


def test_what_train_would_refuse(tmp_path):
    train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    with pytest.raises(ValueError, match="other settings"):
        dry_run.of_training("digits", "sgd", 1, tmp_path / "run", settings=SHORT)
    with pytest.raises(FileNotFoundError):
        dry_run.of_training("cifar10-resnet18", "sgd", data_dir=tmp_path)
    alone = {"data": {"held_out": 0.0}}
    with pytest.raises(ValueError, match="held-out"):
        dry_run.of_training("digits", "lets", 0, tmp_path / "new", settings=alone).timed()


@pytest.mark.parametrize(("method", "passes"), [("sgd", 1), ("sam", 2), ("lookbehind", 4)])
def test_equal_gradient_evaluations_make_other_steps(counted, method, passes):
    budget = {"training": {"epochs": 3, "device": "cpu", "budget": "grad-evals"}}
    chosen = settings_for("digits", method, 0, budget)
    sampled = dry_run._Sampled(chosen, load_data(task("digits"), None))
    _, note = sampled.cost()
    assert note.startswith(f"{passes} passes a step, {-(-6 * 18 // passes)} steps of ")


def test_metrics_looks_and_the_epoch_that_was_reached_count(counted):
    """18 steps an epoch of 64 examples, at a second each."""
    whole = load_data(task("digits"), None)
    chosen = settings_for("digits", "sgd", 0, SHORT)
    seconds = dry_run._Sampled(chosen, whole).cost()[0]
    assert seconds == 36 * 64 + 3 * dry_run.FORWARD * (len(whole.train_x) + len(whole.test_x))
    half, note = dry_run._Sampled(chosen, whole).cost(epoch=1)
    assert half == seconds / 2 and note.endswith("from epoch 1")
    looked = replace(chosen, training=replace(chosen.training, measure_every=4))
    kept = len(whole.train_x) - round(0.1 * len(whole.train_x))
    more = dry_run._Sampled(looked, whole).cost()[0] - seconds
    assert more == 10 * dry_run.LOOK * min(1000, kept)


def test_a_study_counts_cells_and_measures(tmp_path, counted):
    design = Design(
        "digits", ["sgd", "sam"], 3, tmp_path, settings=SHORT, measures=["noise", "surface"],
        options={**FAST, "surface": {"size": 3}}, workers=2, examples=50,
    )  # fmt: skip
    threads = torch.get_num_threads()
    plan = dry_run.of_study(design)
    assert {p.name: p.count for p in plan.parts} == {
        "train sgd": 3, "train sam": 3, "noise": 6, "surface": 2,
    }  # fmt: skip
    timed = plan.timed()
    assert not list(tmp_path.iterdir())
    assert timed.processes == 2 and torch.get_num_threads() == threads
    assert timed.seconds == pytest.approx(sum(p.count * p.seconds for p in timed.parts) / 2)
    cost = {p.name: p.seconds for p in timed.parts}
    assert cost["surface"] == 2 * 50 * 9 * dry_run.FORWARD  # both splits, 50 examples, 3 x 3
    assert cost["noise"] == 2 * 50 * 4 * dry_run.FORWARD
    cell = design.cells(design.overrides({})[0])[1]
    cell.run(lambda _: None)
    again = dry_run.of_study(design)
    assert {p.name: (p.count, p.kept) for p in again.parts} == {
        "train sgd": (3, 0), "train sam": (2, 1), "noise": (5, 1), "surface": (1, 1),
    }  # fmt: skip


def test_a_grid_adds_as_many_trials_for_every_method(tmp_path):
    design = Design(
        "digits", ["sgd", "sam"], 1, tmp_path, settings=SHORT, grid={"sam.rho": [0.1, 0.2, 0.3]},
        tune_seeds=2, measures=["noise"], options=FAST, examples=50,
    )  # fmt: skip
    counts = {p.name: p.count for p in dry_run.of_study(design).parts}
    assert counts == {"tune sgd": 6, "train sgd": 1, "tune sam": 6, "train sam": 1, "noise": 1 * 2}


def test_an_analysis_knows_what_is_there(tmp_path, counted):
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    asked = {"options": FAST}
    minimum = of_run(run, examples=50)
    analyze(run, ["noise"], examples=50, **asked)
    before = sorted(tmp_path.rglob("*"))
    plan = dry_run.of_analysis([minimum], ["noise", "relative_flatness"], **asked)
    assert [(p.name, p.count, p.kept) for p in plan.parts] == [
        ("noise", 0, 1), ("relative_flatness", 1, 0),
    ]  # fmt: skip
    forced = dry_run.of_analysis([minimum], ["noise"], force=True, **asked)
    assert [(p.count, p.kept) for p in forced.parts] == [(1, 0)]
    assert forced.timed().seconds == 2 * 50 * 4 * dry_run.FORWARD
    assert sorted(tmp_path.rglob("*")) == before


def test_a_slow_network_is_tried_on_few_examples(monkeypatch):
    now, steps = [0.0], []

    def step(rows):
        steps.append(rows)
        now[0] += rows * cost

    monkeypatch.setattr(dry_run.time, "perf_counter", lambda: now[0])
    cost = 1.0
    assert dry_run._seconds(step, 128) == pytest.approx(1.0)
    assert steps == [dry_run.FEW] * 2  # one to warm up, one that is timed
    cost = 1e-4
    assert dry_run._seconds(step, 128) == pytest.approx(1e-4)
    assert steps[-1] == 128


def test_every_measure_has_a_cost():
    assert set(dry_run.GRADIENTS) == set(MEASURES)
    for name, kind in MEASURES.items():
        assert dry_run.GRADIENTS[name](kind()) > 0, name
    size = measure_of(None, "surface", {"surface": {"size": (5, 7)}})
    assert dry_run.GRADIENTS["surface"](size) == 35 * dry_run.FORWARD


def test_a_gradient_is_that_of_all_examples(counted):
    x, y = torch.randn(30, 4), torch.zeros(30, dtype=torch.long)
    pieces = [(x[:20], y[:20]), (x[20:], y[20:])]
    assert dry_run._gradient(Objective(torch.nn.Linear(4, 2), pieces, cross_entropy)) == 30.0


def test_the_plan_comes_before_any_network_is_built(tmp_path, monkeypatch):
    """So it is there at once, however large the network is."""
    monkeypatch.setattr(dry_run, "Training", None)
    started = time.perf_counter()
    dry_run.of_training("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    dry_run.of_study(Design("digits", ["sgd", "lets+sam"], 6, tmp_path / "s"))
    assert time.perf_counter() - started < 3


def test_examples_are_what_suits_the_task(tmp_path):
    design = Design("text-transformer", ["sgd"], 1, tmp_path)
    assert design.measured == task("text-transformer").measured == 50
    assert Design("digits", ["sgd"], 1, tmp_path).measured == 1000
    assert replace(design, examples=7).measured == 7
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    assert run.objective().examples == 1000
