"""NetCDF-3 files of arrays with named axes, as xarray with scipy writes and reads them.

Offsets have 64 bits ("CDF" and the byte 2); 32, the byte 1, are read, too. The import of xarray
takes half a second, more than most records take to compute; its conventions are kept: bool as int8,
text as characters over one more axis, NaN as the value that says missing.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
MAGIC = b"CDF"
DIMENSION, VARIABLE, ATTRIBUTE = 10, 11, 12
TYPES = {n: np.dtype(t) for n, t in enumerate((">i1", "S1", ">i2", ">i4", ">f4", ">f8"), 1)}
CODES = {dtype: code for code, dtype in TYPES.items()}
NARROWED = {"b": ">i1", "i": ">i4", "u": ">i4"}  # NetCDF-3 has no bool and no 64 bits
OFFSET = struct.Struct(">q")


class Variable(NamedTuple):
    """An array, the names of its axes, and its unit."""

    axes: tuple[str, ...]
    values: Array
    units: str = ""


def encoded(variables: Mapping[str, Variable], attributes: Mapping[str, str | int]) -> bytes:
    """A file's bytes.

    Raises ValueError for integers beyond 32 bits and for values that are neither numbers nor text.
    """
    stored = [_stored(name, variable) for name, variable in variables.items()]
    sizes = {n: s for v in stored for n, s in zip(v.axes, v.data.shape, strict=True)}
    stored.sort(key=lambda v: (-1,) if v.data.shape[:1] == (0,) else v.data.shape, reverse=True)
    blocks = [_padded(v.data) for v in stored]
    front = MAGIC + b"\x02" + _int(0)
    front += _listed(DIMENSION, [_text(name) + _int(size) for name, size in sizes.items()])
    front += _attributes(attributes)
    heads = [_head(v, list(sizes), len(block)) for v, block in zip(stored, blocks, strict=True)]
    start = len(front) + len(_listed(VARIABLE, heads)) + len(OFFSET.pack(0)) * len(heads)
    for i, block in enumerate(blocks):
        heads[i] += OFFSET.pack(start)
        start += len(block)
    return front + _listed(VARIABLE, heads) + b"".join(blocks)


def decoded(data: bytes) -> tuple[dict[str, Variable], dict[str, Any]]:
    """Variables and attributes of a file's bytes; integers and floats as wide as they were stored.

    Raises ValueError for what is no NetCDF-3 file or ends early.
    """
    try:
        return _Reader(data).file()
    except (struct.error, KeyError, IndexError, UnicodeError, OverflowError) as error:
        raise ValueError(f"no sound NetCDF-3 file: {error}") from None


class _Stored(NamedTuple):
    """A variable as it stands in a file."""

    name: str
    axes: tuple[str, ...]
    data: Array
    attributes: dict[str, Any]


def _stored(name: str, variable: Variable) -> _Stored:
    axes, values, about = variable.axes, np.asarray(variable.values), {"units": variable.units}
    if values.dtype.kind in "OUS":
        text = np.char.encode(values.astype(str), "utf-8")
        width = text.dtype.itemsize
        about["_Encoding"] = "utf-8"
        characters = np.ascontiguousarray(text).view("S1").reshape(*values.shape, width)
        return _Stored(name, (*axes, f"string{width}"), characters, about)
    if values.dtype.kind == "f":
        values = values.astype(">f4" if values.dtype.itemsize <= 4 else ">f8")
        return _Stored(name, axes, values, {**about, "_FillValue": values.dtype.type("nan")})
    if values.dtype.kind not in NARROWED:
        raise ValueError(f"`{name}` must hold numbers or text. Got {values.dtype}.")
    narrow = values.astype(NARROWED[values.dtype.kind])
    if not np.array_equal(narrow, values):
        raise ValueError(f"`{name}` must hold integers of 32 bits.")
    about |= {"dtype": "bool"} if values.dtype.kind == "b" else {}
    return _Stored(name, axes, narrow, about)


def _head(v: _Stored, sizes: list[str], length: int) -> bytes:
    """A variable's entry, but for the place of its data at the end."""
    axes = [_int(sizes.index(axis)) for axis in v.axes]
    kind = _int(CODES[v.data.dtype])
    return (
        _text(v.name)
        + _int(len(axes))
        + b"".join(axes)
        + _attributes(v.attributes)
        + kind
        + _int(length)
    )


def _int(value: int) -> bytes:
    return struct.pack(">i", value)


def _aligned(content: bytes, padding: bytes = b"\0") -> bytes:
    return content + padding * (-len(content) % 4)


def _text(words: str) -> bytes:
    content = words.encode()
    return _int(len(content)) + _aligned(content)


def _padded(data: Array) -> bytes:
    """Data to a multiple of four bytes, with the format's own value for bytes that are missing."""
    return _aligned(data.tobytes(), b"\x81" if data.dtype == np.int8 else b"\0")


def _listed(tag: int, entries: list[bytes]) -> bytes:
    return _int(tag if entries else 0) + _int(len(entries)) + b"".join(entries)


def _attributes(values: Mapping[str, Any]) -> bytes:
    return _listed(ATTRIBUTE, [_text(name) + _attribute(value) for name, value in values.items()])


def _attribute(value: Any) -> bytes:
    if isinstance(value, str):
        return _int(2) + _text(value)
    number = np.asarray(value)
    number = number.astype(NARROWED.get(number.dtype.kind, number.dtype.newbyteorder(">")))
    return _int(CODES[number.dtype]) + _int(1) + _aligned(number.tobytes())


class _Reader:
    """A file's bytes and the place up to which they were read."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def file(self) -> tuple[dict[str, Variable], dict[str, Any]]:
        start = self.take(4)
        if start[:3] != MAGIC or start[3] not in (1, 2):
            raise ValueError(f"no NetCDF-3 file: it starts with {start!r}")
        if self.integer():
            raise ValueError("a NetCDF-3 file with records along an axis without end")
        axes = [(self.text(), self.integer()) for _ in range(self.count(DIMENSION))]
        attributes = self.attributes()
        offset = OFFSET if start[3] == 2 else struct.Struct(">i")
        count = self.count(VARIABLE)
        return dict(self.variable(axes, offset) for _ in range(count)), attributes

    def take(self, size: int) -> bytes:
        """The next bytes, and on to a multiple of four."""
        content = self.data[self.at : self.at + size]
        if size < 0 or len(content) < size:
            raise ValueError("a NetCDF-3 file that ends early")
        self.at += size + -size % 4
        return content

    def integer(self) -> int:
        return int(struct.unpack(">i", self.take(4))[0])

    def text(self) -> str:
        return self.take(self.integer()).decode()

    def count(self, tag: int) -> int:
        """Number of entries in the list that follows."""
        here, count = self.integer(), self.integer()
        if here not in (tag, 0) or count < 0 or (here == 0 and count):
            raise ValueError(f"no sound NetCDF-3 file: {here} where a list {tag} starts")
        return count

    def attributes(self) -> dict[str, Any]:
        return {self.text(): self.attribute() for _ in range(self.count(ATTRIBUTE))}

    def attribute(self) -> Any:
        dtype, count = TYPES[self.integer()], self.integer()
        content = self.take(count * dtype.itemsize)
        if dtype.kind == "S":
            return content.decode()
        return np.frombuffer(content, dtype)[0].item()

    def variable(self, axes: list[tuple[str, int]], offset: struct.Struct) -> tuple[str, Variable]:
        name = self.text()
        along = [axes[self.index(len(axes))] for _ in range(self.index(len(axes) + 1))]
        about = self.attributes()
        dtype = TYPES[self.integer()]
        self.integer()  # the size, which the axes say, too
        (start,) = offset.unpack(self.take(offset.size))
        names, shape = tuple(n for n, _ in along), tuple(size for _, size in along)
        count = math.prod(shape)
        if start < 0 or start + count * dtype.itemsize > len(self.data):
            raise ValueError(f"a NetCDF-3 file that ends before its {name!r}")
        values = np.frombuffer(self.data, dtype, count, start).reshape(shape)
        if dtype.kind == "S":
            words = _joined(values).astype(object)
            return name, Variable(names[:-1], words, str(about.get("units", "")))
        values = values.astype(bool if about.get("dtype") == "bool" else dtype.newbyteorder("="))
        return name, Variable(names, values, str(about.get("units", "")))

    def index(self, end: int) -> int:
        value = self.integer()
        if not 0 <= value < end:
            raise ValueError(f"no sound NetCDF-3 file: {value} where there are {end}")
        return value


def _joined(characters: Array) -> Array:
    """Words from characters along the last axis."""
    if not characters.shape[-1]:
        return np.full(characters.shape[:-1], "")
    joined = np.ascontiguousarray(characters).view(f"S{characters.shape[-1]}")[..., 0]
    return np.char.decode(joined, "utf-8")
