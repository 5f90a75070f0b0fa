"""The folder of a report."""

import csv
import json

import numpy as np
import pytest

from landscape.records import load
from landscape.report import render, write

pytestmark = pytest.mark.slow  # runs the program from end to end


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    return write(small, tmp_path_factory.mktemp("report")).parent


def test_everything_is_there_and_nothing_half(folder):
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    names = (
        "comparison", "differences", "curves", "spectrum", "eigenvalue_count", "density", "noise",
        "quantization", "pruning", "worst_case", "sharpness", "surface", "profile", "scatter",
        "noise_difference",
    )  # fmt: skip
    assert found == {
        "report.html",
        *(f"figures/{name}.{ending}" for name in names for ending in ("png", "svg")),
        *(f"tables/{n}.{e}" for n in ("study", "comparison") for e in ("csv", "json", "nc")),
        "tables/comparison.md",
        "tables/comparison.tex",
    }


@pytest.mark.slow
def test_the_same_contents_give_the_same_page(folder, small):
    assert (folder / "report.html").read_text(encoding="utf-8") == render(small)


def test_study_in_long_form(folder, small):
    with (folder / "tables/study.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == small.study.table.size
    row = next(
        r for r in rows if (r["method"], r["seed"], r["metric"]) == ("sam", "2", "lambda_max")
    )
    assert float(row["value"]) == small.study.values("lambda_max", "sam")[2]
    assert row["status"] == "finished"


def test_comparison_as_csv(folder, small):
    with (folder / "tables/comparison.csv").open() as file:
        rows = {(r["method"], r["metric"]): r for r in csv.DictReader(file)}
    i = list(small.comparison.metrics).index("lambda_max")
    assert (
        float(rows["msam", "lambda_max"]["difference_high"])
        == (small.comparison.difference_high[i, 2])
    )
    assert rows["sgd", "lambda_max"]["difference"] == ""


def test_records_come_back(folder, small):
    again = load(folder / "tables/study.nc")
    np.testing.assert_array_equal(again.table, small.study.table)
    assert json.loads((folder / "tables/comparison.json").read_text())["baseline"] == "sgd"
