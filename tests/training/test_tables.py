"""Rows in a run's folder: both files say the same, whole or grown line by line."""

import csv
import math

from landscape.training import tables

ROWS = [{"step": float(i), "loss": 0.1 * i} for i in range(5)]


def test_grown_line_by_line_is_the_same_as_written_whole(tmp_path):
    table = tables.Growing(tmp_path, "grown", [])
    for count in (1, 1, 3, 5):
        table.grow(ROWS[:count])
        assert tables.read(tmp_path / "grown.jsonl") == ROWS[:count]
    tables.write(tmp_path, "whole", ROWS)
    for ending in ("jsonl", "csv"):
        grown, whole = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("grown", "whole"))
        assert grown == whole


def test_what_goes_beyond_the_rows_is_gone(tmp_path):
    tables.write(tmp_path, "x", ROWS)
    table = tables.Growing(tmp_path, "x", ROWS[:2])
    table.grow(ROWS[:3])
    assert tables.read(tmp_path / "x.jsonl") == ROWS[:3]
    with (tmp_path / "x.csv").open(newline="") as file:
        assert [float(row["step"]) for row in csv.DictReader(file)] == [0.0, 1.0, 2.0]


def test_nan_is_null_in_json_and_comes_back(tmp_path):
    tables.write(tmp_path, "x", [{"a": math.nan}, {"a": 1.0, "b": 2.0}])
    first, second = tables.read(tmp_path / "x.jsonl")
    assert math.isnan(first["a"]) and second == {"a": 1.0, "b": 2.0}
    assert (tmp_path / "x.csv").read_text().splitlines()[0] == "a,b"
