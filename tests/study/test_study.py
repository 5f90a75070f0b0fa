"""A study: planned before anything runs, content-hashed, gathered, compared."""

import hashlib
import html
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from landscape.analysis.analyze import analyze
from landscape.measures import STANDARD
from landscape.records import METRICS, StudyRecord, load
from landscape.report import findings, print_tables
from landscape.report.tiles import tiles
from landscape.statistics.minima import compare_minima
from landscape.statistics.noise_curve import area
from landscape.study.folders import records_in
from landscape.study.plan import most_at_once
from landscape.study.study import Study, compare, contents, numbers, report
from landscape.training.run import Run
from landscape.utils.files import plain

pytestmark = pytest.mark.slow  # runs the program from end to end

SHORT = {"training": {"epochs": 1, "device": "cpu"}}
SMALL = {
    "eigenvalues": {"k": 2},
    "noise": {"sigmas": (0.0, 0.2), "draws": 2},
    "rise_area": {"size": 11, "cells": 1.0},
    "surface": {"size": 3},
    "profile": {"lines": 2, "size": 3},
    "trace": {"max_hvps": 30},
    "spectral_density": {"probes": 2, "steps": 5},
    "worst_case": {"radii": (1.0,), "steps": 1, "restarts": 0},
    "sharpness": {"steps": 1, "restarts": 0},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "s"
    return compare(
        "digits", ["sgd", "sam"], 2, out, settings=SHORT, options=SMALL, examples=60, workers=1,
        command="landscape compare ...",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "most"),
    [(None, 3, 3), ({"runs_at_once": 8}, 1, 8), ({"runs_at_once": 1}, 2, 2), ({}, 4, None)],
)
def test_runs_that_shared_the_machine_are_remembered(tmp_path, before, now, most):
    """An older study does not know; one that went on with fewer processes keeps the larger."""
    if before is not None:
        (tmp_path / "study.json").write_text(json.dumps(before))
    assert most_at_once(tmp_path / "study.json", now) == most


def test_the_table_holds_what_the_runs_say(study):
    assert study.record.settings["runs_at_once"] == 1
    record = study.record
    assert record.status.tolist() == [["finished"] * 2] * 2
    for (method, seed), run in study.runs.items():
        last, records = run.metrics[-1], study.cells[method, seed]
        row = {m: record.values(m, method)[seed] for m in METRICS}
        assert row["test_accuracy"] == last["test_accuracy"]
        assert row["generalisation_gap"] == last["test_loss"] - last["train_loss"]
        assert row["lambda_max"] == records["eigenvalues"].values.max()
        np.testing.assert_equal(row["rise_area"], records["rise_area"].area)
        assert row["kappa"] == records["relative_flatness"].value
        assert row["sharpness"] == records["sharpness"].mean[2]
        assert row["noise_accuracy"] == area(records["noise"]).mean
        assert records["noise"].other.point.split == "train"
        assert row["grad_evals"] == (36 if method == "sam" else 18)
    assert record.values("grad_norm", "sam").tolist() != record.values("grad_norm", "sgd").tolist()


def with_areas(run, records, of_one):
    """Areas at all rises, but for one run, which has those of `of_one`."""
    lacking = (run.settings.method, run.settings.seed) == ("sam", 1)
    areas = np.array(of_one if lacking else [1.5, 2.0, 3.0])
    words = "the contour leaves the plane" if lacking else ""
    changed = replace(records["rise_area"], areas=areas, area_errors=0 * areas, no_area=words)
    return {**records, "rise_area": changed}


def test_areas_of_all_runs_are_compared_at_a_rise_that_each_has_one_at(study, monkeypatch):
    measured, half = Run.records, [1.0, np.nan, np.nan]
    monkeypatch.setattr(Run, "records", lambda run: with_areas(run, measured(run), half))
    at_half = Study(study.path)
    assert at_half.record.values("rise_area", "sgd").tolist() == [1.5, 1.5]
    assert at_half.record.values("rise_area", "sam").tolist() == [1.5, 1.0]
    assert at_half.record.settings["rise"] == 0.05
    held = contents(at_half)
    (note,) = (note for note in held.notes if "Areas are those" in note)
    assert "by 0.05" in note and "sam seed 1: the contour leaves the plane" in note
    name = "area inside a rise of the loss by 0.05"
    assert name in print_tables.latex(held) and tiles(held).rise == 0.05
    assert name in {finding.about.lower() for finding in findings.paragraphs(held)}
    assert {kept["rise_area"].rise for _, _, kept in records_in([study.path])} == {0.05}


def test_a_minimum_without_an_area_is_named_in_the_report(study, monkeypatch):
    measured, none = Run.records, [np.nan] * 3
    monkeypatch.setattr(Run, "records", lambda run: with_areas(run, measured(run), none))
    held = contents(Study(study.path))
    assert any(note.startswith("1 of 4 minima have no area inside a rise") for note in held.notes)
    assert tiles(held).plane.endswith("no area for 1 of 4 minima: the contour leaves the plane")


def test_surfaces_for_the_first_seed_only_and_all_else_for_all(study):
    kinds = {key: set(records) for key, records in study.cells.items()}
    shown = {"surface", "profile", "spectral_density"}
    rest = {"curves", *STANDARD} - {*shown, "path"}
    assert kinds["sam", 0] == {*rest, *shown} and kinds["sam", 1] == rest


def test_the_same_draws_and_the_same_data_for_all_methods(study):
    sgd, sam = (study.cells[m, 0]["noise"] for m in ("sgd", "sam"))
    assert sgd.settings == sam.settings
    assert sgd.point.fingerprint == sam.point.fingerprint
    assert (sgd.point.split, sgd.point.examples) == ("test", 60)
    eigen = study.cells["sgd", 0]["eigenvalues"].point
    assert (eigen.split, eigen.examples) == ("train", 60)


def test_the_report_and_its_tables_are_there(study, tmp_path, no_figures):
    assert study.report.is_file()
    names = {p.name for p in study.path.rglob("*") if p.is_file()}
    assert {"study.csv", "study.json", "study.nc", "comparison.csv", "surface.svg"} <= names
    shutil.copytree(study.path, tmp_path / "s")
    (tmp_path / "s" / "report.html").unlink()
    assert report(tmp_path / "s") == tmp_path / "s" / "report.html"
    assert (tmp_path / "s" / "report.html").is_file()


def test_the_outcome_is_the_headline_of_the_report_and_a_number(study):
    headline, *number = study.outcome
    assert "SGD" in headline and headline.endswith(".")
    assert headline in html.unescape(study.report.read_text(encoding="utf-8"))
    assert len(number) <= 1


def test_folders_are_named_as_before_there_was_label_noise_and_measuring_on_the_way(study):
    """The hash of a study made earlier: the same compare must find its runs again."""
    settings = study.runs["sam", 0].settings.to_dict()
    del settings["data"]["label_noise"]
    del settings["own"]
    later = (
        "groups",
        "optimizer_args",
        "schedule_args",
        "schedule_unit",
        "ascent",
        "evaluate_every",
        "stop_at_loss",
        "compile",
    )
    for name in ("measure_every", "measure_examples", "measure_batch_norm", *later):
        del settings["training"][name]
    key = hashlib.sha256(json.dumps(plain(settings), sort_keys=True).encode()).hexdigest()
    assert study.runs["sam", 0].path.name == f"sam-seed0-{key[:8]}"


def test_a_study_made_before_tuning_still_reads(study, tmp_path):
    shutil.copytree(study.path, tmp_path / "s")
    plan = json.loads((tmp_path / "s" / "study.json").read_text())
    del plan["tuning"], plan["controls"]
    (tmp_path / "s" / "study.json").write_text(json.dumps(plan))
    (tmp_path / "s" / "manifest.json").unlink()  # which it had not either
    settings = Study(tmp_path / "s").record.settings
    assert settings["tuning"] == settings["controls"] == {}


def test_a_tuned_study_with_a_control_and_noisy_labels(tmp_path, no_figures):
    """The control is Lookbehind's as it was tuned; cost and choice are in record and report."""
    given = {**SHORT, "data": {"label_noise": 0.2}, "lookbehind": {"rho": 0.1, "alpha": 0.5}}
    study = compare(
        "digits", ["sgd", "lookbehind"], 1, tmp_path / "s", settings=given,
        grid={"training.lr": (0.01, 0.2), "lookbehind.k": (1, 2)}, controls=True,
        measures=["eigenvalues"], options={"eigenvalues": {"k": 2}}, examples=60, workers=1,
    )  # fmt: skip
    tuning = study.record.settings["tuning"]
    assert {m: len(found["trials"]) for m, found in tuning.items()} == {"sgd": 4, "lookbehind": 4}
    assert tuning["sgd"]["grad_evals"] == 4 * 18
    assert study.runs["sgd", 0].settings.training.lr == tuning["sgd"]["chosen"]["training.lr"]
    tuned, control = (study.runs[m, 0].settings for m in ("lookbehind", "sam@as-lookbehind"))
    k = tuning["lookbehind"]["chosen"]["lookbehind.k"]
    assert tuned.methods["lookbehind"]["k"] == k
    assert control.methods["sam"]["rho"] == pytest.approx((k + 1) * 0.1 / 2)
    assert control.training.lr == pytest.approx(0.5 * k * tuned.training.lr)
    assert not {t["seed"] for found in tuning.values() for t in found["trials"]} & {0}
    assert study.record.settings["label_noise"]["sam@as-lookbehind"] == 0.2
    saved = load(study.path / "tables" / "study.nc")
    assert saved.settings["tuning"]["sgd"]["grad_evals"] == 4 * 18
    text = study.report.read_text()
    for words in ("20 % of the training labels", "from 4 trials for each method", "training.lr = ",
                  "SAM (as lookbehind) is a control: radius (k+1)ρ/2"):  # fmt: skip
        assert words in text


def test_what_was_measured_otherwise_is_not_compared(study, tmp_path, no_figures):
    shutil.copytree(study.path, tmp_path / "s")
    odd = Study(tmp_path / "s").runs["sam", 1]
    analyze(odd, ["noise"], force=True, examples=60, options={"noise": {"sigmas": (0.0, 0.3)}})
    analyze(odd, ["eigenvalues"], force=True, examples=30, options=SMALL)
    found = Study(tmp_path / "s")
    assert [words.split(" was ")[0] for words in found.left_out] == [
        "eigenvalues of sam seed 1", "noise of sam seed 1",
    ]  # fmt: skip
    i = [list(METRICS).index(name) for name in ("lambda_max", "noise_accuracy", "kappa")]
    assert np.isnan(found.record.table[i, 1, 1]).tolist() == [True, True, False]
    assert not np.isnan(found.record.table[i, :, 0]).any()
    assert "landscape analyze RUN --measures noise --force" in report(found.path).read_text()
    assert study.left_out == []


def test_other_settings_make_other_folders_and_leave_the_first(study, tmp_path, no_figures):
    path = shutil.copytree(study.path, tmp_path / "s")
    before = {p.name for p in (path / "runs").iterdir()}
    again = compare(
        "digits", ["sgd"], 1, path, settings={"training": {**SHORT["training"], "lr": 0.05}},
        measures=["trace"], options={"trace": SMALL["trace"]}, examples=60, workers=1,
    )  # fmt: skip
    assert before < {p.name for p in (path / "runs").iterdir()}
    assert set(again.runs) == {("sgd", 0)}


def test_a_half_written_and_a_damaged_run_do_not_pass_silently(study, tmp_path):
    shutil.copytree(study.path, tmp_path / "s")
    run = next((tmp_path / "s" / "runs").glob("sgd-seed0-*"))
    plan = json.loads((tmp_path / "s" / "study.json").read_text())
    assert plan["cells"][0][2] in {
        p.relative_to(tmp_path / "s").as_posix() for p in run.parent.iterdir()
    }
    folder = tmp_path / "s" / plan["cells"][0][2]
    data = bytearray((folder / "records" / "noise.nc").read_bytes())
    data[-3] ^= 1
    (folder / "records" / "noise.nc").write_bytes(bytes(data))
    damaged = Study(tmp_path / "s")
    assert any("noise.nc is damaged or was not finished" in line for line in damaged.left_out)
    assert "noise" not in damaged.cells["sgd", 0]


@pytest.mark.parametrize(
    ("task", "methods", "seeds", "message"),
    [
        ("digit", ["sgd"], 1, "Did you mean 'digits'?"),
        ("digits", ["smam"], 1, "Did you mean 'sam'?"),
        ("digits", ["sgd"], 0, "`seeds` must be at least 1. Got 0."),
        ("digits", ["sgd", "sgd"], 1, "must be different names"),
    ],
)
def test_wrong_names_are_told_before_anything_is_trained(tmp_path, task, methods, seeds, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        compare(task, methods, seeds, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_folder_that_is_no_study_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"is not a study: it has no study\.json"):
        Study(tmp_path)


def test_statistics_by_hand():
    """Three seeds, SAM 1 below SGD in every one but for ±0.1: mean, interval and p from a table."""
    table = np.full((len(METRICS), 2, 3), np.nan)
    loss = list(METRICS).index("test_loss")
    table[loss] = [[3.0, 4.0, 5.0], [2.1, 3.0, 3.9]]
    study = StudyRecord(
        np.array(list(METRICS)), np.array(["sgd", "sam"]), np.arange(3), table,
        np.full((2, 3), "finished"), "t",
    )  # fmt: skip
    c = compare_minima(study)
    half = 4.302652729749462 * 0.1 / 3**0.5  # t(0.975, 2) s/√n
    assert c.difference[loss, 1] == pytest.approx(-1.0)
    assert c.difference_low[loss, 1] == pytest.approx(-1 - half)
    assert c.difference_high[loss, 1] == pytest.approx(-1 + half)
    assert c.sign_flip_p[loss, 1] == pytest.approx(2 / 8)
    assert c.holm_p[loss, 1] == pytest.approx(c.t_p[loss, 1])
    assert np.isnan(c.difference[:, 0]).all() and c.n[0].tolist() == [0, 0]


def test_the_gap_of_noisy_labels_compares_like_with_like():
    """On the labels that were trained on, of which the test loss has none; old runs have no gap."""
    last = dict.fromkeys(("test_accuracy", "grad_evals", "seconds"), 1.0)
    last |= {"test_loss": 0.7, "train_loss": 0.5}
    assert numbers(last, {})["generalisation_gap"] == pytest.approx(0.2)
    assert np.isnan(numbers(last, {}, label_noise=0.2)["generalisation_gap"])
    found = numbers({**last, "noisy_test_loss": 1.4}, {}, label_noise=0.2)
    assert found["generalisation_gap"] == pytest.approx(0.9)
    assert found["test_loss"] == 0.7


def test_numbers_of_an_unmeasured_run_are_nan(study):
    run = next(iter(study.runs.values()))
    assert isinstance(run, Run)
    found = numbers(run.metrics[-1], {})
    assert np.isnan(found["lambda_max"]) and np.isnan(found["kappa"])
    assert found["test_loss"] == run.metrics[-1]["test_loss"]
