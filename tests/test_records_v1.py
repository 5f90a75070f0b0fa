"""Records that an older program wrote: each kind of schema 1, as NetCDF and what it held as JSON.

The files are those of the first program with schema 1. They stay as they are: a kind that comes
later needs none, a new schema needs a folder of its own.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from landscape.records import RECORDS, SCHEMA, axes_of, load
from landscape.utils.files import plain

FOLDER = Path(__file__).parent / "records_v1"
KINDS = sorted(path.stem for path in FOLDER.glob("*.nc"))


def test_every_kind_of_the_first_program_is_here():
    first = "comparison curves eigenvalues noise radius relative_flatness study surface"
    assert first.split() == KINDS
    assert set(KINDS) <= set(RECORDS)
    assert SCHEMA == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_reads_and_holds_what_it_held(kind):
    record = load(FOLDER / f"{kind}.nc")
    assert type(record) is RECORDS[kind]
    written = json.loads((FOLDER / f"{kind}.json").read_text())
    assert (written.pop("kind"), written.pop("schema")) == (kind, 1)
    point = written.pop("point")
    assert point is None if record.point is None else point.items() <= vars(record.point).items()
    for name, value in written.items():
        assert plain(getattr(record, name)) == value, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_goes_out_again(kind, tmp_path):
    """What the older program did not know is None or a default, and can be written and drawn."""
    record = load(FOLDER / f"{kind}.nc")
    record.save(tmp_path / "again.nc")
    again = load(tmp_path / "again.nc")
    for name in axes_of(RECORDS[kind]):
        np.testing.assert_array_equal(getattr(again, name), getattr(record, name), err_msg=name)
