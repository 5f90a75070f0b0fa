"""Records: what goes out comes back, and nothing else does."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from landscape import records
from landscape.records import RECORDS, NoiseRecord, Point, StudyRecord, axes_of, load

SAMPLES = {
    "int": 3, "float": math.nan, "bool": True, "str": "word", "tuple": (1,),
    "Mapping": {"a": 1}, "collections.abc.Mapping": {"a": 1},
}  # fmt: skip
NAMES = ("metrics", "methods", "measures", "status", "quantities", "parameters")
POINT = Point(0.1, 0.01, 12.0, 5, 100, "test", "stored", "float32", "cpu", "abc")


def example(kind):
    """A record of a kind with different numbers everywhere; axes have different lengths, but those
    of a matrix over the tasks of a sequence.
    """
    cls, axes = RECORDS[kind], axes_of(RECORDS[kind])
    lengths = {
        name: i + 2 for i, name in enumerate(sorted({n for a in axes.values() for n in a.names}))
    }
    lengths |= {"after": lengths["task"]} if "after" in lengths else {}
    values = {}
    for f in dataclasses.fields(cls):
        if f.name in axes:
            shape = tuple(lengths[n] for n in axes[f.name].names)
            numbers = np.arange(np.prod(shape), dtype=float).reshape(shape) + 0.5
            is_names = f.name in NAMES
            values[f.name] = numbers.astype(str) if is_names else numbers
        elif f.name in ("point", "settings", "provenance") or f.metadata.get("transient"):
            continue
        else:
            values[f.name] = SAMPLES[
                re.split(r"[ \[]", str(getattr(f.type, "__name__", f.type)))[0]
            ]
    return cls(**values, point=POINT, settings={"draws": 3, "levels": [0.1]}, provenance={"v": "1"})


@pytest.mark.parametrize("kind", RECORDS)
def test_netcdf_and_back(kind, tmp_path):
    record = example(kind)
    record.save(tmp_path / "x.nc")
    back = load(tmp_path / "x.nc")
    assert type(back) is type(record)
    for f in dataclasses.fields(record):
        np.testing.assert_equal(getattr(back, f.name), getattr(record, f.name), err_msg=f.name)


@pytest.mark.parametrize("kind", RECORDS)
def test_json_is_strict_and_complete(kind):
    values = json.loads(example(kind).to_json(), parse_constant=pytest.fail)
    assert values["kind"] == kind and values["point"]["batch_norm"] == "stored"
    assert set(axes_of(RECORDS[kind])) <= set(values)


def test_axes_have_names_and_units_in_xarray():
    dataset = example("noise").to_dataset()
    assert dataset.loss.dims == ("sigma", "draw")
    assert example("curves").to_dataset().seconds.attrs["units"] == "s"


def test_a_study_finds_a_metric_of_a_method():
    table = np.arange(12.0).reshape(2, 3, 2)
    study = StudyRecord(
        np.array(["a", "b"]), np.array(["x", "y", "z"]), np.array([0, 1]), table, table[0], "t"
    )
    assert study.values("b", "y").tolist() == [8.0, 9.0]


@pytest.mark.parametrize("damage", [b"", b"CDF\x01", b"no record at all"])
def test_a_damaged_file_is_named(tmp_path, damage):
    (tmp_path / "x.nc").write_bytes(damage)
    with pytest.raises(ValueError, match=r"x.nc is not a record, or is damaged"):
        load(tmp_path / "x.nc")


def test_a_newer_schema_is_refused(tmp_path, monkeypatch):
    record = example("noise")
    monkeypatch.setattr(records.record, "SCHEMA", 99)
    record.save(tmp_path / "x.nc")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="schema 99; this program reads schema 1"):
        load(tmp_path / "x.nc")


def test_large_vectors_stay_in_memory():
    record = dataclasses.replace(example("eigenvalues"), vectors=np.zeros((1000, 2)))
    assert "vectors" not in record.to_dataset() and '"vectors"' not in record.to_json()


def test_a_record_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        example("noise").scale = "rms"
    assert isinstance(example("noise"), NoiseRecord)
