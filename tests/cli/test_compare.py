"""landscape compare: what is refused before anything starts, and the whole job, small."""

import json
import sys
from typing import ClassVar

import pytest

import landscape as ls

COMPARE = ("compare", "--task", "digits")


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What the command asks of the library, which makes a study at once."""
    calls = []

    class Made:
        path, report = tmp_path / "study", tmp_path / "study" / "report.html"
        runs: ClassVar = {}
        failures = ()
        outcome = ("SAM found flatter minima than SGD.",)

    def compare(*arguments, **options):
        calls.append((arguments, options))
        return Made()

    monkeypatch.setattr(ls, "compare", compare)
    return calls


def test_flags_reach_the_library(landscape, asked, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["landscape", *COMPARE, "--out", "a b"])
    done = landscape(
        *COMPARE, "--methods", "sgd, sam,sgd", "--seeds", "2", "--epochs", "3", "--budget",
        "grad-evals", "--device", "cpu", "--workers", "1", "--examples", "50", "--out", "a b",
        "--data-dir", tmp_path, "--set", "sam.rho=0.1", "--label-noise", ".2",
        "--grid", "sam.rho=.02,.05", "--grid", "training.lr=.1", "--tune-seeds", "3", "--controls",
        "--measure-every", "9",
    )  # fmt: skip
    assert done.code == 0, done.err
    (((task, methods, seeds, out), options),) = asked
    assert (task, methods, seeds, str(out)) == ("digits", ["sgd", "sam"], 2, "a b")
    assert options["settings"] == {
        "sam": {"rho": 0.1},
        "data": {"label_noise": 0.2},
        "training": {"epochs": 3, "budget": "grad-evals", "measure_every": 9, "device": "cpu"},
    }
    assert options["grid"] == {"sam.rho": [0.02, 0.05], "training.lr": [0.1]}
    assert (options["tune_seeds"], options["controls"]) == (3, True)
    assert (options["examples"], options["data_dir"]) == (50, tmp_path)
    assert options["engine"] == ls.engines.make("local", workers=1)
    assert options["command"] == "landscape compare --task digits --out 'a b'"
    assert done.last_line == str(tmp_path / "study" / "report.html")


def test_by_default_all_methods_and_six_seeds_go_to_runs(landscape, asked):
    landscape(*COMPARE)
    (((_, methods, seeds, out), _options),) = asked
    assert methods == list(ls.methods.PAPERS)
    assert (seeds, str(out)) == (6, "runs/digits")


def test_groups_stand_in_a_list_with_others(landscape, asked):
    landscape(*COMPARE, "--methods", "ALL,newer,sam")
    landscape(*COMPARE, "--methods", "sgd,newer")
    assert asked[0][0][1] == [*ls.methods.PAPERS, *ls.methods.NEWER]
    assert asked[1][0][1] == ["sgd", *ls.methods.NEWER]


def test_the_folder_of_the_data_may_come_from_the_environment(landscape, asked, monkeypatch):
    monkeypatch.setenv("LANDSCAPE_DATA", "/somewhere")
    landscape(*COMPARE)
    assert str(asked[0][1]["data_dir"]) == "/somewhere"


def test_json_is_one_object(landscape, asked):
    made = json.loads(landscape(*COMPARE, "--json").out)
    assert made["report"].endswith("report.html")
    assert made["outcome"] == ["SAM found flatter minima than SGD."]
    assert landscape(*COMPARE).out.splitlines()[-2] == "SAM found flatter minima than SGD."


def test_ctrl_c_says_that_the_same_command_goes_on(landscape, monkeypatch):
    def compare(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ls, "compare", compare)
    done = landscape(*COMPARE)
    assert done.code == 130
    assert done.err.strip() == "Interrupted. Finished cells are kept; the same command goes on."


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--methods", "sgd,smam"], "Unknown method 'smam'. Did you mean 'sam'?"),
        (["--methods", ","], "`methods` must be different names. Got none."),
        (["--workers", "0"], "Invalid value for '--workers': must be at least 1. Got 0."),
        (["--examples", "0"], "Invalid value for '--examples': must be at least 1. Got 0."),
        (["--budget", "grad"], "Unknown training.budget 'grad'. Did you mean 'grad-evals'?"),
        (["--label-noise", "1"], "`data.label_noise` must be in [0, 1). Got 1.0."),
        (["--grid", "sam.rho"], "`--grid` takes section.key=value,value. Got 'sam.rho'."),
        (["--tune-seeds", "2"], "`tune_seeds` has no effect without `grid`. Got 2."),
        (["--methods", "sgd", "--controls"], "`controls` has no effect: lookbehind is not among"),
        (["--set", "training.epochs=many"], "training.epochs: should be a valid integer."),
    ],
)
def test_wrong_input_leaves_nothing_behind(refused, tmp_path, arguments, expected):
    (line,) = refused(*COMPARE, *arguments)
    assert line.startswith(expected)
    assert not list(tmp_path.iterdir())


def test_an_unknown_task_names_the_nearest(refused):
    (line,) = refused("compare", "--task", "digit")
    assert line.startswith("Unknown task 'digit'. Did you mean 'digits'?")


def test_no_permission_is_one_line(refused, no_write_access):
    out = no_write_access / "study"
    (line,) = refused(*COMPARE, "--methods", "sgd", "--seeds", "1", "--epochs", "1", "--out", out)
    assert "Permission denied" in line


@pytest.mark.slow
def test_the_whole_job_and_what_can_be_done_with_it(landscape, tmp_path):
    """Two methods, two seeds, two workers; then report, plots and a second compare on the same."""
    arguments = [*COMPARE, "--methods", "sgd,sam", "--seeds", "2", "--epochs", "1"]
    arguments += ["--examples", "100", "--workers", "2", "--device", "cpu", "--out", "study"]
    done = landscape(*arguments)
    assert done.code == 0, done.err
    assert done.last_line == "study/report.html"
    assert "<html" in (tmp_path / "study" / "report.html").read_text()
    assert "compare" in done.out
    weights = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    assert len(weights) == 4
    again = landscape(*arguments, "--json")
    assert json.loads(again.out)["report"] == "study/report.html"
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")} == weights
    assert landscape("report", "study").last_line == "study/report.html"
    for kind in ("curves", "spectrum", "noise", "surface", "comparison", "differences", "scatter"):
        drawn = landscape("plot", "study", "--kind", kind, "--format", "svg", "--out", "figures")
        assert drawn.last_line == f"figures/{kind}.svg"
        assert "<svg" in (tmp_path / drawn.last_line).read_text()


@pytest.mark.slow
def test_all_measures_at_small_size(landscape, tmp_path):
    """Those that are not standard, too, with their figures and columns of the table."""
    small = (
        "surface.size=3", "rise_area.size=9", "profile.size=3", "spectral_density.probes=2",
        "spectral_density.steps=4", "trace.max_hvps=24", "relative_flatness.draws=4",
        "worst_case.steps=1", "sharpness.steps=1", "adaptive_sharpness.steps=1",
        "adaptive_sharpness.draws=2", "pac_bayes.draws=2", "batch_eigenvalues.m=20",
    )  # fmt: skip
    arguments = [*COMPARE, "--methods", "sgd,sam", "--seeds", "1", "--epochs", "1"]
    arguments += ["--examples", "60", "--measures", "all", "--workers", "1", "--device", "cpu"]
    done = landscape(*arguments, "--out", "s", *(w for text in small for w in ("--set", text)))
    assert done.code == 0, done.err
    newer = {
        "critical_sharpness", "adaptive_sharpness", "batch_eigenvalues", "pac_bayes", "fisher_rao",
        "calibration",
    }  # fmt: skip
    assert newer <= {path.stem for path in (tmp_path / "s" / "figures").iterdir()}
    table = (tmp_path / "s" / "tables" / "comparison.csv").read_text()
    for column in ("critical_sharpness", "pac_bayes_sigma", "fisher_rao", "batch_lambda_max"):
        assert column in table


def test_a_part_is_run_and_the_report_joins(landscape, tmp_path):
    arguments = [*COMPARE, "--methods", "sgd", "--seeds", "2", "--epochs", "1", "--device", "cpu"]
    arguments += ["--measures", "noise", "--set", "noise.draws=2", "--workers", "1", "--out", "s"]
    done = landscape(*arguments, "--part", "2/2")
    assert (done.code, done.last_line) == (0, "s"), done.err
    assert "After all parts: landscape report s" in done.out
    assert [p.parent.name[:9] for p in (tmp_path / "s").rglob("status.json")] == ["sgd-seed1"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--part", "0/2"], "`part` is K/N with K from 1 to N, as in 3/8. Got '0/2'."),
        (["--engine", "dusk"], "Unknown engine 'dusk'. Did you mean 'dask'?"),
        (["--engine-arg", "x"], "`--engine-arg` takes name=value. Got 'x'."),
        (["--at", "tcp://a:1"], "`at` has no effect: the engine is local, on this machine."),
        (["--gpus-per-cell", "2"], "`gpus_per_cell` must be in (0, 1]. Got 2."),
    ],
)
def test_wrong_engines_and_parts_are_one_line(refused, tmp_path, arguments, expected):
    (line,) = refused(*COMPARE, *arguments)
    assert line.startswith(expected)
    assert not list(tmp_path.iterdir())
