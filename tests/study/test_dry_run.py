"""Plans: what is to do, what is there, what it costs; and that nothing is written."""

from dataclasses import replace

import pytest
import torch

from landscape.analysis.analyze import analyze
from landscape.analysis.minimum import of_run
from landscape.objective.objective import Objective
from landscape.study import dry_run, estimate
from landscape.study.design import Design
from landscape.tasks.registry import cross_entropy, task
from landscape.training.loop import Training
from landscape.training.run import load_data
from landscape.training.train import settings_for, train

SHORT = {"training": {"epochs": 2, "device": "cpu"}}
FAST = {"noise": {"sigmas": (0.0, 0.1), "draws": 2}}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(estimate, "ENOUGH", 0.01)


@pytest.fixture
def objective_of():
    def make(n):
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(n, 4, generator=generator), torch.zeros(n, dtype=torch.long)
        return Objective(torch.nn.Linear(4, 2), [(x, y)], cross_entropy)

    return make


def test_a_training_is_counted_as_it_happens(tmp_path):
    found = dry_run.of_training("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    assert not list(tmp_path.iterdir())
    (part,) = found.parts
    run = train("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    last = run.metrics[-1]
    assert part.note.startswith(f"2 passes a step, {last['step']:.0f} steps of ")
    assert part.count == 1 and part.kept == 0 and found.seconds == part.seconds > 0
    assert found.sizes["weights"] == 4 * sum(p.numel() for p in run.model().parameters())
    assert found.sizes["optimizer's state"] == found.sizes["weights"]  # momentum
    assert found.memory > 10 * 2**20
    again = dry_run.of_training("digits", "sam", 0, tmp_path / "run", settings=SHORT)
    assert [(p.count, p.kept) for p in again.parts] == [(0, 1)]
    assert again.seconds == 0


def test_what_train_would_refuse(tmp_path):
    train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    with pytest.raises(ValueError, match="other settings"):
        dry_run.of_training("digits", "sgd", 1, tmp_path / "run", settings=SHORT)
    with pytest.raises(FileNotFoundError):
        dry_run.of_training("cifar10-resnet18", "sgd", data_dir=tmp_path)


@pytest.mark.parametrize(("method", "passes"), [("sgd", 1), ("sam", 2), ("lookbehind", 4)])
def test_equal_gradient_evaluations_make_other_steps(method, passes):
    budget = {"training": {"epochs": 3, "device": "cpu", "budget": "grad-evals"}}
    chosen = settings_for("digits", method, 0, budget)
    whole = load_data(task("digits"), None)
    training = Training(chosen, task("digits"), estimate.sample(whole, chosen, 10))
    cost = estimate.training_cost(training, whole)
    assert cost.passes == passes
    assert cost.steps == -(-6 * 18 // passes)


def test_a_sample_fills_a_batch_of_each_part():
    chosen = settings_for("digits", "lets", 0, SHORT)
    whole = load_data(task("digits"), None)
    training = Training(chosen, task("digits"), estimate.sample(whole, chosen, 10))
    assert training.size == training.train.rows(slice(64)).size == 64
    assert training.held_out.size >= 64
    assert len(training.dataset.train_x) < len(whole.train_x)
    assert training.test.size == 10


def test_a_study_counts_cells_and_measures(tmp_path):
    design = Design(
        "digits", ["sgd", "sam"], 3, tmp_path, settings=SHORT, measures=["noise", "surface"],
        options={**FAST, "surface": {"size": 3}}, workers=2, examples=50,
    )  # fmt: skip
    threads = torch.get_num_threads()
    found = dry_run.of_study(design)
    assert not list(tmp_path.iterdir())
    assert {p.name: p.count for p in found.parts} == {
        "train sgd": 3, "train sam": 3, "noise": 6, "surface": 2,
    }  # fmt: skip
    assert found.processes == 2 and torch.get_num_threads() == threads
    assert found.seconds == pytest.approx(sum(p.count * p.seconds for p in found.parts) / 2)
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


def test_an_analysis_knows_what_is_there(tmp_path):
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    asked = {"options": FAST}
    minimum = of_run(run, examples=50)
    analyze(run, ["noise"], examples=50, **asked)
    before = sorted(tmp_path.rglob("*"))
    found = dry_run.of_analysis([minimum], ["noise", "relative_flatness"], **asked)
    assert [(p.name, p.count, p.kept) for p in found.parts] == [
        ("noise", 0, 1), ("relative_flatness", 1, 0),
    ]  # fmt: skip
    forced = dry_run.of_analysis([minimum], ["noise"], force=True, **asked)
    assert [(p.count, p.kept) for p in forced.parts] == [(1, 0)]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_measure_that_goes_on_is_known_from_its_share(monkeypatch):
    clock = iter([0.0, 0.5, 2.0, 9.0])
    monkeypatch.setattr(estimate, "ENOUGH", 1.0)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: next(clock))
    asked = []

    def measure(objective, *, progress, **extra):
        asked.append((objective, extra))
        progress(1, 8)
        progress(2, 8)
        raise AssertionError("it went on")

    assert estimate.measure_seconds(measure, "o", other="p") == 8.0
    assert asked == [("o", {"other": "p"})]


def test_what_is_dear_is_tried_on_few_examples(objective_of, monkeypatch):
    whole = objective_of(200)
    monkeypatch.setattr(estimate, "elapsed", lambda ask: 8 * 0.01)
    few, times = estimate.thinned(whole)
    assert few.examples == int(estimate.GRADIENT / 0.01) == 10 and times == 20.0
    assert few.memory == pytest.approx(whole.memory / 20)
    assert torch.equal(few.given[0].x, whole.given[0].x[:10])
    monkeypatch.setattr(estimate, "elapsed", lambda ask: 100.0)
    assert estimate.thinned(whole)[0].examples == estimate.FEWEST_EXAMPLES
    monkeypatch.setattr(estimate, "elapsed", lambda ask: 1e-6)
    assert estimate.thinned(whole) == (whole, 1.0)


def test_the_estimate_is_of_all_examples(tmp_path, monkeypatch):
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    minimum = of_run(run, examples=200)
    monkeypatch.setattr(dry_run, "thinned", lambda objective: (objective, 7.0))
    monkeypatch.setattr(dry_run, "measure_seconds", lambda *_, **__: 2.0)
    assert dry_run.of_analysis([minimum], ["noise"], options=FAST).parts[0].seconds == 14.0


def test_examples_are_what_suits_the_task(tmp_path):
    design = Design("text-transformer", ["sgd"], 1, tmp_path)
    assert design.measured == task("text-transformer").measured == 50
    assert Design("digits", ["sgd"], 1, tmp_path).measured == 1000
    assert replace(design, examples=7).measured == 7
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    assert run.objective().examples == 1000


def test_looks_along_the_way_cost_too():
    chosen = settings_for("digits", "sgd", 0, SHORT)
    watched = replace(chosen, training=replace(chosen.training, measure_every=1))
    whole = load_data(task("digits"), None)
    costs = [
        estimate.training_cost(
            Training(s, task("digits"), estimate.sample(whole, s, 100)), whole
        ).seconds
        for s in (chosen, watched)
    ]
    assert costs[1] > 3 * costs[0]
