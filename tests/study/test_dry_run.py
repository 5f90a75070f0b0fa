"""Plans: what is to do, what is there, roughly how long it takes; and that nothing is written."""

import time
from dataclasses import replace

import pytest
import torch

from landscape.analysis.analyze import analyze, measure_of
from landscape.analysis.minimum import of_run
from landscape.measures import MEASURES
from landscape.objective.objective import Objective
from landscape.study import cost, dry_run
from landscape.study.design import Design
from landscape.tasks.registry import cross_entropy, task
from landscape.training.run import load_data
from landscape.training.train import settings_for, train

SHORT = {"training": {"epochs": 2, "device": "cpu"}}
FAST = {"noise": {"sigmas": (0.0, 0.1), "draws": 2}}


@pytest.fixture
def in_steps(monkeypatch):
    """Time in steps: a step takes a second."""
    monkeypatch.setattr(cost, "_timed", lambda step_on, size: (1.0, step_on(size)()))


def test_a_training_is_planned_and_nothing_is_written(tmp_path):
    plan = dry_run.of_training("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    assert [(p.name, p.count, p.kept) for p in plan.parts] == [("train sam", 1, 0)]
    assert plan.seconds()[0] > 0
    assert not list(tmp_path.iterdir())
    train("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    again = dry_run.of_training("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    assert [(p.count, p.kept) for p in again.parts] == [(0, 1)]
    assert again.seconds() == [0]


def test_what_train_would_refuse(tmp_path):
    train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    with pytest.raises(ValueError, match="other settings"):
        dry_run.of_training("digits", "sgd", 1, tmp_path / "run", settings=SHORT)
    with pytest.raises(FileNotFoundError):
        dry_run.of_training("cifar10-resnet18", "sgd", data_dir=tmp_path)
    with pytest.raises(ValueError, match="checkpoint_every"):
        dry_run.of_training("digits", "sgd", checkpoint_every="often")
    alone = {"data": {"held_out": 0.0}}
    with pytest.raises(ValueError, match="held-out"):
        dry_run.of_training("digits", "lets", 0, tmp_path / "new", settings=alone).seconds()


@pytest.mark.parametrize(("method", "passes"), [("sgd", 1), ("sam", 2), ("lookbehind", 4)])
def test_the_steps_of_a_training(in_steps, method, passes):
    """18 steps of 64 examples an epoch; metrics are forward passes, of a step over its passes."""
    whole = load_data(task("digits"), None)
    metrics = cost.FORWARD * (len(whole.train_x) + len(whole.test_x)) / passes / 64

    def seconds(**training):
        overrides = {"training": {"epochs": 3, "device": "cpu", **training}}
        return cost.training_seconds(settings_for("digits", method, 0, overrides), whole)

    assert seconds() == pytest.approx(3 * 18 + 4 * metrics)
    assert seconds(budget="grad-evals") == pytest.approx(2 * 3 * 18 / passes + 4 * metrics)
    look = cost.LOOK * 1000 / passes / 64
    assert seconds(measure_every=6) - seconds() == pytest.approx(10 * look)


def test_a_study_counts_cells_and_measures(tmp_path, in_steps):
    design = Design(
        "digits", ["sgd", "sam"], 3, tmp_path, settings=SHORT, measures=["noise", "surface"],
        options={**FAST, "surface": {"size": 3}}, workers=2, examples=50,
    )  # fmt: skip
    threads = torch.get_num_threads()
    plan = dry_run.of_study(design)
    assert {p.name: p.count for p in plan.parts} == {
        "train sgd": 3, "train sam": 3, "noise": 6, "surface": 2,
    }  # fmt: skip
    seconds = dict(zip([p.name for p in plan.parts], plan.seconds(), strict=True))
    assert not list(tmp_path.iterdir())
    assert plan.processes == 2 and torch.get_num_threads() == threads
    # Both splits, 3 x 3 points of 2 runs; 2 sigmas x 2 draws of 6 runs; in 2 processes.
    assert seconds["surface"] == pytest.approx(2 * 9 * cost.FORWARD * 2 / 2)
    assert seconds["noise"] == pytest.approx(2 * 4 * cost.FORWARD * 6 / 2)
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


def test_an_analysis_knows_what_is_there(tmp_path, in_steps):
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    minimum = of_run(run, examples=50)
    analyze(run, ["noise"], examples=50, options=FAST)
    before = sorted(tmp_path.rglob("*"))
    plan = dry_run.of_analysis([minimum], ["noise", "relative_flatness"], FAST)
    assert [(p.name, p.count, p.kept) for p in plan.parts] == [
        ("noise", 0, 1), ("relative_flatness", 1, 0),
    ]  # fmt: skip
    forced = dry_run.of_analysis([minimum], ["noise"], FAST, force=True)
    assert [(p.count, p.kept) for p in forced.parts] == [(1, 0)]
    assert forced.seconds() == [pytest.approx(2 * 4 * cost.FORWARD)]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("a_step", "an_example", "rows", "expected"),
    [
        (0.0, 1.0, [4, 4], 128.0),
        (0.0, 1e-4, [4, 4, 32, 32, 128, 128], 0.0128),
        (0.1, 1e-4, [4, 4, 32, 32, 128, 128], 0.1128),  # whatever the number of examples
    ],
)
def test_a_slow_network_is_tried_on_few_examples(monkeypatch, a_step, an_example, rows, expected):
    """One step to warm up, one that is timed; on a whole batch where that is quick."""
    now, steps = [0.0], []

    def step_on(examples):
        def step():
            steps.append(examples)
            now[0] += a_step + examples * an_example
            return examples

        return step

    monkeypatch.setattr(cost.time, "perf_counter", lambda: now[0])
    seconds, answer = cost._timed(step_on, 128)
    assert seconds == pytest.approx(expected)
    assert steps == rows and answer == rows[-1]


def test_every_measure_has_a_cost():
    assert set(cost.GRADIENTS) == set(MEASURES)
    for name, kind in MEASURES.items():
        assert cost.GRADIENTS[name](kind()) > 0, name
    size = measure_of(None, "surface", {"surface": {"size": (5, 7)}})
    assert cost.GRADIENTS["surface"](size) == 35 * cost.FORWARD


def test_a_gradient_is_that_of_all_examples(in_steps):
    x, y = torch.randn(30, 4), torch.zeros(30, dtype=torch.long)
    pieces = [(x[:20], y[:20]), (x[20:], y[20:])]
    objective = Objective(torch.nn.Linear(4, 2), pieces, cross_entropy)
    assert cost.gradient_seconds(objective) == 1.5


def test_the_plan_comes_before_any_network_is_built(tmp_path, monkeypatch):
    """So it is there at once, however large the network is."""
    monkeypatch.setattr(cost, "Training", None)
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


def test_plans_say_the_radius_in_force(tmp_path):
    wide = {**SHORT, "lookbehind": {"rho": 0.1}}
    alone = dry_run.of_training("digits", "lookbehind+asam", 0, tmp_path / "run", settings=wide)
    assert alone.radii == {
        "lookbehind+asam": "‖e/T‖ = 0.1, of lookbehind; asam.rho = 0.5 is not used"
    }
    design = Design("digits", ["sgd", "sam@wide"], settings={**SHORT, "sam@wide": {"rho": 0.3}})
    assert dry_run.of_study(design).radii == {"sgd": "none", "sam@wide": "‖e‖ = 0.3, of sam"}
