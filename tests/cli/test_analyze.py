"""landscape analyze: records added to runs, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest

from landscape import records


def test_records_are_added_and_their_folder_is_the_last_line(landscape, trained):
    done = landscape(
        "analyze", trained, "--measures", "eigenvalues", "--k", "2", "--which", "largest",
        "--examples", "64", "--precision", "ieee",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.last_line == str(trained / "records")
    record = records.load(trained / "records" / "eigenvalues.nc")
    assert len(record.values) == 2
    assert record.which == "largest"
    assert (record.precision, record.settings["precision"]) == ("ieee", "ieee")
    assert record.point.examples == 64


def test_what_is_there_is_kept_unless_forced(landscape, trained):
    def measured(*more):
        arguments = ("--measures", "noise", "--set", "noise.draws=2", "--examples", "32", *more)
        answer = json.loads(landscape("analyze", trained, "--json", *arguments).out)
        path = Path(answer["records"][str(trained)]["noise"])
        return records.load(path), path.stat().st_mtime_ns

    first, when = measured()
    assert first.loss.shape[1] == 2
    assert measured()[1] == when
    assert measured("--force")[1] > when


def test_a_path_to_another_run(landscape, trained):
    done = landscape(
        "analyze", trained, "--measures", "path", "--to", trained, "--set", "path.size=3",
        "--examples", "32",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    record = records.load(trained / "records" / "path.nc")
    assert (record.end, record.length, record.barrier) == ("sam, seed 0", 0.0, 0.0)


def test_surfaces_of_any_shape(landscape, trained):
    done = landscape(
        "analyze", trained, "--measures", "surface", "--examples", "32", "--set",
        "surface.size=[3, 5]", "--set", "surface.span=[1, 0.5]", "--set", "surface.preview=true",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    record = records.load(trained / "records" / "surface.nc")
    assert record.loss.shape == record.other_loss.shape == (3, 5)
    assert record.y[-1] == 0.5
    assert record.preview


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--measures", "nose"], "Unknown measure 'nose'. Did you mean 'noise'?"),
        (["--measures", "eigenvalues", "--k", "1000000"], "`k` must be at most n = 4810, the"),
        (["--k", "0"], "`eigenvalues.k` must be at least 1. Got 0."),
        (["--which", "larges"], "`eigenvalues.which` must be one of"),
        (["--backend", "hessian"], "`eigenvalues.backend` must be one of"),
        (
            ["--measures", "trace", "--precision", "bf16"],
            "`trace.precision` must be one of auto, ieee, tf32. Got 'bf16', which is for losses ",
        ),
        (
            [
                "--measures",
                "profile",
                "--precision",
                "bf16",
                "--set",
                "profile.precision_tolerance=1e-9",
            ],
            'Profile in "bf16" is off by ',
        ),
        (
            ["--measures", "pruning", "--precision", "tf32"],
            "`--precision` has no effect: the measures",
        ),
        (["--measures", "noise", "--k", "3"], "An option of eigenvalues has no effect"),
        (["--set", "noise.sigmas=[-0.1]"], "`noise.sigmas` must be non-negative"),
        (["--set", "noise.drws=3"], "Unknown setting 'noise.drws'. Did you mean 'noise.draws'?"),
        (["--set", "nose.draws=3"], "Unknown measure 'nose'. Did you mean 'noise'?"),
        (["--set", "noise.draws=many"], "noise.draws: should be a valid integer. Got 'many'."),
        (["--set", "surface.plane=1"], "surface.plane: "),
        (["--set", "surface.points=1"], "surface.points: "),
        (["--set", "surface.size=4"], "`surface.size` must be odd and at least 3"),
        (["--measures", "path"], "A path needs its other `end`: on the command line, --to RUN."),
        (["--measures", "noise", "--to", "x"], "`--to` has no effect: the measures are noise."),
        (["--set", "surface.directions=minima"], "The plane of minima needs at least three runs"),
        (["--set", "surface.directions=trajectory"], "{run} kept too few weights along"),
        (["--measures", "noise", "--batch-norm", "stord"], "`batch_norm` must be"),
    ],
)
def test_wrong_options_are_refused(refused, trained, arguments, expected):
    (line,) = refused("analyze", trained, *arguments)
    assert line.startswith(expected.format(run=trained))


def test_a_folder_that_is_no_run_is_refused(refused, tmp_path):
    (line,) = refused("analyze", tmp_path)
    assert line == f"{tmp_path} is not a run: it has no settings.json."


def test_a_flipped_bit_is_noticed(refused, trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    weights = copy / "weights.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-5] ^= 1
    weights.write_bytes(damaged)
    (line,) = refused("analyze", copy)
    assert str(weights) in line
    assert "damaged" in line


def test_cross_check(landscape, trained):
    """A table for people, all numbers for scripts; measures only where they are asked for."""
    pytest.importorskip("curvlinops")
    arguments = ("analyze", trained, "--cross-check", "--k", "2", "--examples", "64")
    done = landscape(*arguments)
    rows = [line.split() for line in done.out.splitlines()]
    head = next(i for i, row in enumerate(rows) if row[:1] == ["solver"])
    assert [row[0] for row in rows[head + 1 : head + 4]] == ["lanczos", "pyhessian", "curvlinops"]
    assert rows[head + 1][3:6] == ["2", "of", "2"]
    assert done.last_line == str(trained / "records")
    answer = json.loads(landscape(*arguments, "--json").out)
    assert answer["records"] == {str(trained): {}}
    found = answer["cross_check"][str(trained)]
    assert found["met"][0] == [True, True]
    record = records.load(trained / "records" / "cross_check.nc")
    assert record.values[0].tolist() == found["values"][0]
    assert record.point.split == "train"


def test_an_option_that_a_cross_check_does_not_know(refused, trained):
    (line,) = refused("analyze", trained, "--cross-check", "--backend", "pyhessian")
    assert line.startswith("Unknown setting of cross_check 'backend'.")


def test_json_carries_the_values_and_a_person_gets_two_sentences(landscape, trained, tmp_path):
    asked = ("analyze", trained, "--measures", "eigenvalues", "--examples", "50", "--k", "1")
    found = json.loads(landscape(*asked, "--json").out)["values"][str(trained)]
    assert found["lambda_max"] > 0 and found["lambda_max_bound"] > 0 and found["seconds"] >= 0
    assert 0 <= found["test_accuracy"] <= 1 and found["loss"] > 0
    lines = landscape(*asked).out.splitlines()
    assert lines[-3].startswith("The largest eigenvalue of the Hessian is ")
    assert lines[-2].startswith("Test accuracy ")
    assert landscape(*asked, "--quiet").out.splitlines() == [str(trained / "records")]
    described = landscape("info", trained).out.splitlines()
    assert described[-2].startswith("Test accuracy ") and lines[-3] in described[-1]


def test_a_study_without_a_run_is_refused(refused, tmp_path):
    from landscape.study.plan import write_plan

    study = tmp_path / "study"
    study.mkdir()
    plan = {"task": "digits", "methods": ["sgd"], "seeds": [0], "cells": [["sgd", 0, "runs/r"]]}
    write_plan(study, {**plan, "budget": "epochs", "command": "compare"})
    (line,) = refused("analyze", study)
    assert "holds no finished run" in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--workers", "2"], "`--workers` has no effect without --engine."),
        (["--at", "tcp://a:1"], "`--at` has no effect without --engine."),
        (["--engine", "dusk"], "Unknown engine 'dusk'. Did you mean 'dask'?"),
    ],
)
def test_options_of_an_engine_are_one_line(refused, tmp_path, arguments, expected):
    (line,) = refused("analyze", tmp_path, *arguments)
    assert line.startswith(expected)
