"""Every path argument of the public API takes text and `Path`."""

import inspect
import os
from pathlib import Path
from typing import get_args

import pytest

import landscape as ls
from landscape import plots, records
from landscape.study.design import Design
from landscape.utils.paths import PathLike, as_path

CALLABLES = {
    "train": ls.train,
    "compare": ls.compare,
    "analyze": ls.analyze,
    "audit": ls.audit,
    "describe": ls.describe,
    "sharded": ls.sharded,
    "Run": ls.Run,
    "Run.open": ls.Run.open,
    "Run.objective": ls.Run.objective,
    "Study": ls.Study,
    "records.load": records.load,
    "records.load_all": records.load_all,
    "Record.save": records.Record.save,
    "plots.save": plots.save,
}
PATHS = {"path", "out", "data_dir", "subject", "checkpoint", "baseline", "to", "folder"}
SHORT = {"training": {"epochs": 1, "device": "cpu"}}


@pytest.mark.parametrize("name", CALLABLES)
def test_a_signature_takes_text_and_paths(name):
    """A new argument of a public function that is a path must say so."""
    for argument in inspect.signature(CALLABLES[name]).parameters.values():
        kinds = list(get_args(argument.annotation)) or [argument.annotation]
        if argument.name in PATHS:
            assert all(kind in kinds for kind in get_args(PathLike)), argument
        else:
            assert Path not in kinds, argument


def test_public_functions_are_all_looked_at():
    functions = {name for name in ls.__all__ if inspect.isfunction(getattr(ls, name))}
    assert functions <= set(CALLABLES)


def test_a_home_folder_and_nothing(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert as_path("~/data") == Path("/home/somebody/data")
    assert as_path(None) is None


def test_train_takes_text_and_names_in_any_case(tmp_path):
    """The data folder as text was an AttributeError."""
    out = str(tmp_path / "r")
    run = ls.train("Digits", "SGD", out=out, data_dir=str(tmp_path), settings=SHORT)
    assert (run.settings.task, run.settings.method) == ("digits", "sgd")
    assert ls.describe(out)["what"] == "run"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [str, Path])
def test_text_and_paths_do_the_same(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ls.train("digits", "sgd", out=kind("r"), data_dir=kind(tmp_path), settings=SHORT)
    assert ls.Run.open(kind("r")).objective("train", data_dir=kind(tmp_path), examples=5).w.numel()
    options = {"noise": {"sigmas": (0.0, 0.1), "draws": 2}}
    ls.analyze(kind("r"), ["noise"], options=options, examples=20, data_dir=kind(tmp_path))
    audited = ls.audit(kind("r"), ["loss < 99"], out=kind("a"), examples=20, baseline=kind("r"))
    assert audited.passed and audited.folder == Path("a")
    assert ls.describe(kind("a"))["what"] == "audit"
    record = records.load_all(kind("r"))["noise"]
    record.save(kind("n.nc"))
    assert (records.load(kind("n.nc")).loss == record.loss).all()
    assert plots.save(plots.noise(record), kind("n.svg")) == Path("n.svg")
    assert os.path.getsize("n.svg") > 1000


def test_a_study_in_text_and_in_any_case(tmp_path):
    design = Design(
        "DIGITS", ["SGD", "LETS+Asam@Wide"], 1, "s", measures=["Noise"],
        options={"NOISE": {"draws": 2}}, data_dir=str(tmp_path),
    )  # fmt: skip
    assert (design.task, design.methods) == ("digits", ("sgd", "lets+asam@Wide"))
    assert (design.asked, design.options) == (("noise",), {"noise": {"draws": 2}})
    assert design.path == Path("s")
    assert design.cells(design.overrides({})[0])[0].data_dir == tmp_path
