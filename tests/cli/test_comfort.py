"""--dry-run, --quiet and landscape info, from outside."""

import importlib
import json
import time

import pytest

from landscape.tasks import published
from landscape.tasks.registry import TASKS, Task
from landscape_cli.plan import duration

LAST = "Dry run: nothing was trained, measured or written."
RUN = ("train", "--task", "digits", "--method", "sam", "--device", "cpu", "--epochs", "1")


def test_a_plan_of_a_training(landscape, tmp_path):
    done = landscape(*RUN, "--dry-run")
    assert (done.code, done.err, done.last_line) == (0, "", LAST)
    assert "train sam on digits, seed 0, into runs/digits-sam-seed0" in done.out
    assert "train sam  1 to do" in done.out
    assert "time: roughly" in done.out and "memory: " in done.out
    tree = json.loads(landscape(*RUN, "--dry-run", "--json").out)
    assert tree["dry_run"] is True and tree["seconds"] > 0
    assert landscape(*RUN, "--dry-run", "--quiet").out == LAST + "\n"
    assert not list(tmp_path.iterdir())


def test_a_dry_run_refuses_what_a_run_would(refused, tmp_path):
    assert refused(*RUN, "--dry-run", "--set", "sam.rho=-1")
    assert refused("train", "--task", "mnist", "--method", "sgd", "--data-dir", ".", "--dry-run")
    assert not list(tmp_path.iterdir())


def test_a_plan_of_a_study(landscape, tmp_path):
    done = landscape(
        "compare", "--task", "digits", "--methods", "sgd,sam", "--seeds", "2", "--epochs", "1",
        "--device", "cpu", "--measures", "relative_flatness", "--workers", "2", "--dry-run",
    )  # fmt: skip
    assert (done.code, done.last_line) == (0, LAST)
    assert "in 2 processes" in done.out
    assert done.err.startswith("warning: With 2 seeds a difference rests")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def planned_at_once(landscape, monkeypatch):
    """Plan a command without data, network or time: its output, printed within 3 s."""
    from landscape.study import cost, design, dry_run

    for module in (design, dry_run):
        monkeypatch.setattr(module, "load_data", lambda task, data_dir: None)
    training = importlib.import_module("landscape.training.train")
    monkeypatch.setattr(training, "check", lambda dataset, settings: None)
    monkeypatch.setattr(cost, "Training", None)
    monkeypatch.setattr(Task, "build", None)
    monkeypatch.setattr(dry_run.Plan, "seconds", lambda plan: [0.0] * len(plan.parts))

    def plan(command):
        started = time.perf_counter()
        done = landscape(*command.split()[1:], "--dry-run")
        assert (done.code, done.last_line) == (0, LAST), done.err
        assert time.perf_counter() - started < 3
        return done.out

    return plan


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_planned_at_once(planned_at_once, name):
    assert "train sgd  1 to do" in planned_at_once(f"landscape train --task {name} --method sgd")


@pytest.mark.parametrize("name", published.names())
def test_every_published_setting_is_planned_at_once(planned_at_once, name):
    assert "6 to do" in planned_at_once(published.command(name))


def test_quiet_is_the_last_line_alone(landscape):
    done = landscape(*RUN, "--quiet")
    assert (done.code, done.out, done.err) == (0, "runs/digits-sam-seed0\n", "")


def test_analyze_in_both_ways(landscape, trained):
    asked = ("analyze", trained, "--measures", "pruning", "--set", "pruning.fractions=[0.5]")
    before = sorted(trained.rglob("*"))
    planned = landscape(*asked, "--dry-run")
    assert (planned.code, planned.last_line) == (0, LAST)
    assert sorted(trained.rglob("*")) == before
    assert landscape(*asked, "--quiet").out == f"{trained}/records\n"
    again = landscape(*asked, "--dry-run").out
    assert "pruning  nothing to do, 1 there already" in again


def test_info(landscape, refused, trained, tmp_path):
    text = landscape("info", trained).out
    assert text.startswith(f"{trained}: run\ntask: digits\nmethod: sam\n")
    assert "training.epochs  1, default 40" in text
    tree = json.loads(landscape("info", trained, "--json").out)
    assert tree["records"]["curves"].startswith("epoch (2) 0 to 1")
    assert refused("info", tmp_path) == [
        f"{tmp_path} is no run, study or audit: it has no settings.json, study.json or audit.json."
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.034, "0.034 s"), (34.5, "35 s"), (200, "3.3 min"), (7000, "1.9 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
