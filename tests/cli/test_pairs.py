"""Pairs from the command line: training, a regression head, an audit of the run."""

import pytest

from landscape.tasks.registration import of_library

HEADER = "sentence1\tsentence2\tlabel\n"


@pytest.fixture
def tables(tmp_path):
    rows = [("a dog runs", "a dog moves", 1), ("it rains", "the sun is out", 0)] * 12
    for name in ("train.tsv", "test.tsv"):
        lines = (f"{a} {i}\t{b}\t{y}\n" for i, (a, b, y) in enumerate(rows))
        (tmp_path / name).write_text(HEADER + "".join(lines))
    return tmp_path


SMALL = (
    "--model-args", "vocabulary=60", "--model-args", "width=8", "--model-args", "depth=1",
    "--model-args", "heads=2", "--epochs", "1", "--device", "cpu",
)  # fmt: skip
PAIRS = ("--data", "pairs", "--model", "pair-transformer", "--set", "data.batch_size=8")


def test_train_and_audit(landscape, tables):
    done = landscape(
        "train", *PAIRS, *SMALL, "--data-dir", tables, "--method", "fam", "--out", "run"
    )
    assert (done.code, done.err) == (0, "") and "test accuracy" in done.out
    done = landscape("audit", "run", "--require", "accuracy >= 0.0", "--quiet")
    assert done.code == 0, done.err


def test_a_regression_head(landscape, tables):
    done = landscape(
        "train", *PAIRS, *SMALL, "--data-dir", tables, "--data-args", "regression=true",
        "--model-args", "classes=1", "--loss", "squared-error", "--method", "sam", "--out", "run",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "") and "accuracy" not in done.out


def test_networks_of_libraries_by_name(monkeypatch):
    monkeypatch.setattr("landscape.tasks.registration.find_spec", lambda name: None)
    assert of_library("timm:convnext_tiny", {"classes": 3}) == (
        "timm", {"name": "convnext_tiny", "classes": 3},
    )  # fmt: skip
    assert of_library("mine.py:net", {}) == ("mine.py:net", {})
    assert of_library("mlp", {}) == ("mlp", {})


def test_what_the_module_holds_is_a_reference(monkeypatch):
    import sys
    from types import SimpleNamespace

    monkeypatch.setattr("landscape.tasks.registration.find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=print))
    assert of_library("timm:create_model", {})[0] == "timm:create_model"
    assert of_library("timm:vit_tiny", {})[0] == "timm"


def test_a_library_that_is_missing_is_told_in_one_line(refused, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setattr("landscape.tasks.registration.find_spec", lambda name: None)
    (line,) = refused(
        "train", "--model", "timm:vit_tiny", "--data", "digits", "--method", "sgd", "--out", "run"
    )
    assert "landscape[vision]" in line
