"""Files of records: byte for byte what xarray writes, and read as xarray reads them."""

import io

import numpy as np
import pytest

from landscape.records import load, netcdf
from landscape.records.netcdf import Variable
from tests.test_records import RECORDS, example

ODD = {
    "flag": Variable(("a",), np.array([True, False]), "1"),
    "count": Variable(("a", "b"), np.arange(6).reshape(2, 3), "steps"),
    "single": Variable(("a",), np.array([1.5, np.nan], dtype=np.float32), "s"),
    "words": Variable(("b",), np.array(["a", "zwölf", ""]), "1"),
    "objects": Variable(("b",), np.array(["κ", "x", "long one"], dtype=object), "1"),
    "number": Variable((), np.array(2.5), "1"),
    "nothing": Variable(("none",), np.zeros(0), "1"),
    "a": Variable(("a",), np.array([-1.0, np.inf]), "epochs"),
}


def by_xarray(variables, attributes):
    """The bytes that xarray and scipy write of the same."""
    import xarray as xr

    named = {n: (v.axes, v.values, {"units": v.units}) for n, v in variables.items()}
    return bytes(xr.Dataset(named, attrs=attributes).to_netcdf(engine="scipy"))


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_s_bytes_are_those_of_xarray(kind):
    record = example(kind)
    assert record.to_netcdf() == bytes(record.to_dataset().to_netcdf(engine="scipy"))


def test_every_type_of_values_is_written_as_by_xarray():
    attributes = {"kind": "odd", "schema": 1, "words": "zwölf Boxkämpfer"}
    assert netcdf.encoded(ODD, attributes) == by_xarray(ODD, attributes)
    assert netcdf.encoded({}, {}) == by_xarray({}, {})


def test_every_type_is_read_as_by_xarray():
    import xarray as xr

    some = {name: v for name, v in ODD.items() if name != "nothing"}  # which xarray cannot read
    data = netcdf.encoded(some, {"kind": "odd", "schema": 1})
    expected = xr.open_dataset(io.BytesIO(data), engine="scipy").load()
    found, attributes = netcdf.decoded(data)
    assert attributes == {"kind": "odd", "schema": 1} == expected.attrs
    assert set(found) == set(expected.variables)
    for name, v in found.items():
        assert v.axes == expected[name].dims and v.units == ODD[name].units
        assert v.values.dtype == expected[name].dtype
        np.testing.assert_equal(v.values, expected[name].to_numpy())


def test_an_array_without_values_comes_back():
    found, _ = netcdf.decoded(netcdf.encoded(ODD, {}))
    assert found["nothing"].values.shape == (0,)


def test_values_that_have_no_place_in_the_format_are_refused():
    for values, why in ((np.array([2**40]), "32 bits"), (np.array([1j]), "numbers or text")):
        with pytest.raises(ValueError, match=why):
            netcdf.encoded({"x": Variable(("a",), values)}, {})


@pytest.mark.parametrize("kind", ["study", "eigenvalues", "surface"])
def test_no_prefix_of_a_file_is_read(kind):
    data = example(kind).to_netcdf()
    for end in range(0, len(data) - 3, 7):  # but for what fills up the last four bytes
        with pytest.raises(ValueError, match="NetCDF-3"):
            netcdf.decoded(data[:end])


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_byte_is_read_or_refused(seed, tmp_path):
    generator = np.random.default_rng(seed)
    data = bytearray(example("noise").to_netcdf())
    for at in generator.integers(len(data), size=3):
        data[at] = generator.integers(256)
    (tmp_path / "noise.nc").write_bytes(data)
    try:
        load(tmp_path / "noise.nc")
    except ValueError as error:
        assert str(tmp_path) in str(error)
