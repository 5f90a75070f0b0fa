"""NetCDF-3 files of arrays with named axes, by scipy, in the form that xarray gives and takes.

The import of xarray takes longer than most records take to compute. Its conventions are kept: bool
as int8, text as characters over one more axis, NaN as the value that says missing.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
NARROWED = {"b": "i1", "i": "i4", "u": "i4"}  # NetCDF-3 has no bool and no 64 bits


class Variable(NamedTuple):
    """An array, the names of its axes, and its unit."""

    axes: tuple[str, ...]
    values: Array
    units: str = ""


def encoded(variables: Mapping[str, Variable], attributes: Mapping[str, str | int]) -> bytes:
    """A file's bytes.

    Raises ValueError for integers beyond 32 bits and for values that are neither numbers nor text.
    """
    from scipy.io import netcdf_file

    content = io.BytesIO()
    with netcdf_file(content, "w", version=2) as file:
        for name, variable in variables.items():
            axes, values, about = _stored(name, variable)
            for axis, size in zip(axes, values.shape, strict=True):
                if axis not in file.dimensions:
                    file.createDimension(axis, size)
            stored = file.createVariable(name, values.dtype, axes)
            stored.data[...] = values
            for key, value in about.items():
                setattr(stored, key, value)
        for key, value in attributes.items():
            setattr(file, key, value.encode() if isinstance(value, str) else np.int32(value))
        file.flush()
        return content.getvalue()


def decoded(data: bytes) -> tuple[dict[str, Variable], dict[str, Any]]:
    """Variables and attributes of a file's bytes; integers and floats as wide as they were stored.

    Raises ValueError for what is no NetCDF-3 file or ends early.
    """
    from scipy.io import netcdf_file

    try:
        with netcdf_file(io.BytesIO(data), mmap=False) as file:
            variables = {name: _variable(v) for name, v in file.variables.items()}
            return variables, {name: _plain(value) for name, value in file._attributes.items()}
    except Exception as error:  # of any kind, where the bytes are not those of a file
        raise ValueError(f"no sound NetCDF-3 file: {error}") from None


def _stored(name: str, variable: Variable) -> tuple[tuple[str, ...], Array, dict[str, Any]]:
    """Axes, values and attributes of a variable as they stand in a file."""
    axes, values = variable.axes, np.asarray(variable.values)
    about: dict[str, Any] = {"units": variable.units.encode()}
    if values.dtype.kind in "OUS":
        text = np.char.encode(values.astype(str), "utf-8")
        width = text.dtype.itemsize
        characters = np.ascontiguousarray(text).view("S1").reshape(*values.shape, width)
        return (*axes, f"string{width}"), characters, {**about, "_Encoding": b"utf-8"}
    if values.dtype.kind == "f":
        values = values.astype("f4" if values.dtype.itemsize <= 4 else "f8")
        return axes, values, {**about, "_FillValue": values.dtype.type("nan")}
    if values.dtype.kind not in NARROWED:
        raise ValueError(f"`{name}` must hold numbers or text. Got {values.dtype}.")
    narrow = values.astype(NARROWED[values.dtype.kind])
    if not np.array_equal(narrow, values):
        raise ValueError(f"`{name}` must hold integers of 32 bits.")
    return axes, narrow, {**about, **({"dtype": b"bool"} if values.dtype.kind == "b" else {})}


def _variable(stored: Any) -> Variable:
    """A variable of an open file."""
    about = {name: _plain(value) for name, value in stored._attributes.items()}
    axes, values = tuple(stored.dimensions), stored.data
    if values.dtype.kind == "S":
        axes, values = axes[:-1], _joined(values).astype(object)
    else:
        values = values.astype(
            bool if about.get("dtype") == "bool" else values.dtype.newbyteorder("=")
        )
    return Variable(axes, values, str(about.get("units", "")))


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else np.asarray(value).reshape(-1)[0].item()


def _joined(characters: Array) -> Array:
    """Words from characters along the last axis."""
    if not characters.shape[-1]:
        return np.full(characters.shape[:-1], "")
    joined = np.ascontiguousarray(characters).view(f"S{characters.shape[-1]}")[..., 0]
    return np.char.decode(joined, "utf-8")
