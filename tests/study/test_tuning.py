"""Settings chosen on held-out data: the choice by hand, equal trials, and what it cannot see."""

import json
import math
from dataclasses import replace

import pytest

from landscape.engines import Local
from landscape.study.cell import Cell
from landscape.study.tuning import Trial, applied, choose, combinations, schedule, tune
from landscape.utils.progress import silent

pytestmark = pytest.mark.slow  # runs the program from end to end

NAN = math.nan


def trials(*judged):
    """(combination, accuracy, loss) -> trials with the combination as the learning rate."""
    return [
        Trial("sam", i, {"training.lr": i}, 1000 + n, accuracy, loss, 10.0, 1.0)
        for n, (i, accuracy, loss) in enumerate(judged)
    ]


@pytest.mark.parametrize(
    ("judged", "best"),
    [
        ([(0, 0.8, 1.0), (1, 0.9, 2.0)], 1),  # accuracy comes before loss
        ([(0, 0.9, 2.0), (1, 0.9, 1.0)], 1),  # loss decides a tie
        ([(0, 0.9, 1.0), (1, 0.9, 1.0)], 0),  # then the first
        ([(0, 0.9, 1.0), (1, 0.7, 1.0), (1, 1.0, 1.0), (0, 0.6, 1.0)], 1),  # means over seeds
        ([(0, 0.5, 1.0), (1, NAN, NAN)], 0),  # diverged
        ([(0, 0.9, 0.1), (0, NAN, NAN), (1, 0.5, 1.0)], 1),  # diverged with one of its seeds
        ([(0, 0.5, 1.0), (1, 0.9, math.inf)], 0),
    ],
)
def test_the_choice(judged, best):
    assert choose(trials(*judged)) == {"training.lr": best}


def test_where_all_diverged_nothing_is_chosen():
    with pytest.raises(ValueError, match="sam diverged with every combination of the grid"):
        choose(trials((0, NAN, NAN), (1, NAN, NAN)))


def test_every_method_gets_as_many_trials_and_fewer_combinations_more_seeds():
    plan = schedule({"sgd": 2, "sam": 5}, seeds=1)
    assert plan["sam"] == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]
    assert plan["sgd"] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
    assert [len(own) for own in schedule({"a": 1, "b": 3}, seeds=4).values()] == [12, 12]


def test_overrides_are_extended_and_left_alone():
    given = {"sam": {"training": {"lr": 0.1, "epochs": 3}}}
    made = applied(given, {"sam.training.lr": 0.2, "data.batch_size": 8})
    assert made == {"sam": {"training": {"lr": 0.2, "epochs": 3}}, "data": {"batch_size": 8}}
    assert given == {"sam": {"training": {"lr": 0.1, "epochs": 3}}}


@pytest.fixture
def cell(tmp_path):
    def make(method, **overrides):
        training = {"epochs": 1, "device": "cpu", **overrides.pop("training", {})}
        return Cell(
            "digits", method, 0, tmp_path / "runs" / method, {"training": training, **overrides},
            ("eigenvalues",), {}, 50, "stored", None,
        )  # fmt: skip

    return make


def test_a_method_tries_what_concerns_it(cell):
    grid = {"sam.rho": (0.02, 0.05), "training.lr": (0.1, 0.2), "sam@wide.rho": (0.5,)}
    assert combinations(cell("sgd"), grid) == [{"training.lr": 0.1}, {"training.lr": 0.2}]
    assert len(combinations(cell("sam"), grid)) == 4
    assert combinations(cell("lets+sam"), grid)[0] == {"sam.rho": 0.02, "training.lr": 0.1}
    wide = combinations(cell("sam@wide"), grid)  # its own rho hides that of sam
    assert wide == [{"sam@wide.rho": 0.5, "training.lr": lr} for lr in (0.1, 0.2)]


def test_a_combination_that_changes_nothing_is_no_further_trial(cell):
    grid = {"training.lr": (0.1, 0.2, 0.1)}
    assert len(combinations(cell("sam"), grid)) == 2
    assert combinations(cell("sam", sam={"training": {"lr": 0.3}}), grid) == [{}]
    assert combinations(cell("sam"), {"training.lr": (0.2,)}) == [{"training.lr": 0.2}]
    both = {"sam.training.lr": (0.3, 0.4), "training.lr": (0.1, 0.2)}
    assert combinations(cell("sam"), both) == [{"sam.training.lr": 0.3}, {"sam.training.lr": 0.4}]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"training.lr": ()}, "`grid` needs values to try. Got none for training.lr."),
        ({"lr": (0.1,)}, "`grid` takes section.key, as in training.lr. Got 'lr'."),
        ({"sam.roh": (0.1,)}, "Unknown setting 'sam.roh'. Did you mean 'sam.rho'?"),
        ({"fam.lam": (0.1,)}, "`grid` of fam.lam has no effect: fam is not among the methods."),
        ({"data.held_out": (0.1,)}, "`grid` cannot hold data.held_out: it changes the data"),
        ({"training.lr": (0.1, -1.0)}, "`training.lr` must be positive. Got -1.0."),
    ],
)
def test_a_grid_that_cannot_be_is_refused_before_anything_is_trained(cell, tmp_path, grid, message):
    with pytest.raises(ValueError) as error:
        tune([cell("sam")], grid, 1, 1000, Local(), silent)
    assert str(error.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_without_held_out_data_there_is_nothing_to_choose_by(cell):
    grid = {"training.lr": (0.1, 0.2)}
    for share in (0.0, 1e-4):  # of 1297: none
        with pytest.raises(ValueError, match=rf"set data.held_out above 0. Got {share}"):
            tune([cell("sgd", data={"held_out": share})], grid, 1, 1000, Local(), silent)


def test_tuning_seeds_without_a_grid_are_refused(cell):
    with pytest.raises(ValueError, match=r"`tune_seeds` has no effect without `grid`. Got 2\."):
        tune([cell("sgd")], {}, 2, 1000, Local(), silent)


def test_trials_are_trained_on_their_own_seeds_judged_and_not_done_again(cell, tmp_path):
    """The values of the best held-out accuracy win, whatever the test set says of them."""
    heard = []
    grid = {"training.lr": (0.01, 0.2), "sam.rho": (0.05, 0.1)}
    found = tune([cell("sgd"), cell("sam")], grid, 1, 1000, Local(), heard.append)
    assert [(t.method, t.seed) for t in found.trials] == [
        *[("sgd", 1000)] * 2, *[("sgd", 1001)] * 2, *[("sam", 1000)] * 4,
    ]  # fmt: skip
    folders = sorted((tmp_path / "tuning").iterdir())
    assert len(folders) == 8 and not list(tmp_path.rglob("*.nc"))
    rows = [json.loads((f / "metrics.jsonl").read_text().splitlines()[-1]) for f in folders]
    assert sorted(t.accuracy for t in found.trials) == sorted(r["held_out_accuracy"] for r in rows)
    assert {t.grad_evals for t in found.trials if t.method == "sgd"} == {18}
    cost = found.to_dict()
    assert (cost["sgd"]["grad_evals"], cost["sam"]["grad_evals"]) == (4 * 18, 4 * 36)
    best = max((t for t in found.trials if t.method == "sam"), key=lambda t: t.accuracy)
    assert found.chosen["sam"] == best.values and found.chosen["sgd"] == {"training.lr": 0.2}
    whole = [m for m in heard if m.stage == "compare"]
    assert {m.label for m in whole} == {"tuning"} and whole[-1].done == 8
    assert [m.done for m in whole] == sorted(m.done for m in whole)
    assert {m.label for m in heard} >= {"sgd, trial 4", "sam, trial 1"}
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    assert tune([cell("sgd"), cell("sam")], grid, 1, 1000, Local(), silent).chosen == found.chosen
    assert written == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}


def test_a_diverged_trial_loses_and_its_cost_counts(cell):
    plain = cell("sgd", training={"momentum": 0.99})
    grid = {"training.lr": (1e4, 0.05)}
    found = tune([replace(plain)], grid, 1, 1000, Local(), silent)
    assert math.isnan(found.trials[0].accuracy) and found.chosen["sgd"] == {"training.lr": 0.05}
