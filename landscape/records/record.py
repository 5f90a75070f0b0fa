"""Base class of all records: fields, files and schema.

A record is a frozen dataclass that converts to NetCDF and back, to an `xarray.Dataset` and back,
and to JSON (one way). Arrays that could not be computed hold NaN; arrays that were not asked for
are None, and so are those that an older version did not know.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from html import escape
from importlib import import_module
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Self,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from landscape.records import netcdf
from landscape.records.netcdf import Variable
from landscape.utils import files
from landscape.utils.paths import PathLike, as_path

if TYPE_CHECKING:
    import xarray as xr

SCHEMA = 1
SHOWN = 6  # quantities of a record, in its one line
Array: TypeAlias = netcdf.Array


class Axes:
    """Names of an array's axes, in order, and the unit of its values."""

    def __init__(self, *names: str, units: str = "1"):
        self.names, self.units = names, units


@dataclass(frozen=True)
class Point:
    """Point in weight space and data at which a measure was taken.

    loss, grad_norm, w_norm: L(w), ‖∇L(w)‖, ‖w‖; n: length of w; examples: number of examples;
    split: "train", "test" or "given"; batch_norm: the policy; fingerprint: that of the data;
    dtype: that of the arithmetic; model_dtype: that of the model's parameters; loss_function: the
    name of the loss; parameters: the pattern of the names of those that are w, "" for all; score:
    what the record calls accuracy, as "mean IoU". The last four are "" in records older than these
    fields.
    """

    loss: float
    grad_norm: float
    w_norm: float
    n: int
    examples: int
    split: str
    batch_norm: str
    dtype: str
    device: str
    fingerprint: str
    model_dtype: str = ""
    loss_function: str = ""
    parameters: str = ""
    score: str = ""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Record:
    """Fields of all records.

    settings: those of the measure; provenance: versions of the software and the hardware used.

    Example: a record as a data set of xarray, its axes named.

    >>> import numpy as np
    >>> from landscape import records
    >>> record = records.EigenvaluesRecord(
    ...     values=np.array([9.0, 1.0]), residuals=np.zeros(2), bounds=np.zeros(2),
    ...     converged=np.ones(2, dtype=bool), hvps=4, which="magnitude",
    ... )
    >>> record.to_dataset()["values"].dims
    ('pair',)
    """

    kind: ClassVar[str]
    point: Point | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Summarise the first quantities that are not as by default: numbers as they are, arrays
        by shape and range.
        """
        axes, base = axes_of(type(self)), Record.__dataclass_fields__
        own = [(f, getattr(self, f.name)) for f in fields(self) if f.name not in base]
        told = [(f.name, value) for f, value in own if not _is_default(f, value)]
        words = [word for name, value in told if (word := _word(name, value, name in axes))]
        at = [f"on {self.point.examples} {self.point.split} examples"] if self.point else []
        return ", ".join([*words[:SHOWN], *at])

    def __repr__(self) -> str:
        """Show one line, for a notebook; the arrays are in the fields."""
        return f"{type(self).__name__}({self})"

    def plot(self, **options: Any) -> Any:
        """Draw the record as its figure in `landscape.plots`, with that function's options.

        Raises ValueError for a kind that has no figure of its own.
        """
        return _plots().draw(self, **options)

    def _repr_html_(self) -> str:
        """Show the figure, where the kind has one, and the quantities, in a notebook."""
        drawable = self.kind in _plots().DRAWS.values()
        picture = _picture(self.plot()) if drawable else ""
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in self._quantities()
        )
        return f"<div><b>{escape(self.kind)}</b><br>{picture}<table>{rows}</table></div>"

    def _quantities(self) -> Iterator[tuple[str, str]]:
        """Names and values of the fields as text, the point's at the end."""
        axes = axes_of(type(self))
        for f in fields(self):
            if f.name not in Record.__dataclass_fields__ and not _is_transient(f):
                word = _word(f.name, getattr(self, f.name), f.name in axes)
                if word:
                    yield f.name, word.removeprefix(f"{f.name} ")
        if self.point is not None:
            yield (
                "L(w), ‖∇L‖, ‖w‖",
                ", ".join(
                    f"{value:.4g}"
                    for value in (self.point.loss, self.point.grad_norm, self.point.w_norm)
                ),
            )
            yield "examples", f"{self.point.examples} ({self.point.split})"

    def to_dataset(self) -> "xr.Dataset":
        """Convert to a dataset: arrays over named axes, everything else as JSON attributes."""
        import xarray as xr

        arrays, attributes = self._stored()
        named = {name: (v.axes, v.values, {"units": v.units}) for name, v in arrays.items()}
        return xr.Dataset(named, attrs=attributes)

    def _stored(self) -> tuple[dict[str, Variable], dict[str, Any]]:
        """Arrays over named axes, and attributes, as they stand in a file."""
        arrays, attributes = {}, {"kind": self.kind, "schema": SCHEMA}
        axes = axes_of(type(self))
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in axes and value is None:
                continue
            if f.name in axes:
                arrays[f.name] = Variable(axes[f.name].names, value, axes[f.name].units)
            elif f.name == "point":
                attributes["point"] = json.dumps(None if value is None else vars(value))
            elif not f.metadata.get("transient"):
                attributes[f.name] = json.dumps(_jsonable(value))
        return arrays, attributes

    @classmethod
    def from_dataset(cls, dataset: "xr.Dataset") -> Self:
        """Rebuild the record that `to_dataset` wrote.

        Raises ValueError, KeyError or TypeError where it lacks something, or has another type.
        """
        arrays = {
            str(name): Variable(tuple(map(str, v.dims)), v.to_numpy())
            for name, v in dataset.variables.items()
        }
        return cls.rebuilt(arrays, dataset.attrs)

    @classmethod
    def rebuilt(cls, arrays: Mapping[str, Variable], attributes: Mapping[str, Any]) -> Self:
        """Rebuild the record from a file's arrays and attributes; raises as `from_dataset` does."""
        axes, types = axes_of(cls), get_type_hints(cls)
        values: dict[str, Any] = {}
        for f in fields(cls):
            if f.name in axes and f.name in arrays:
                if arrays[f.name].axes != axes[f.name].names:
                    raise ValueError(f"`{f.name}` has the axes {arrays[f.name].axes}")
                values[f.name] = arrays[f.name].values
            elif f.name in attributes:
                values[f.name] = _frozen(json.loads(attributes[f.name]))
                if f.name != "point":
                    _check_type(f.name, values[f.name], types[f.name])
        if values.get("point") is not None:
            values["point"] = Point(**values["point"])
            for name, kind in get_type_hints(Point).items():
                _check_type(name, getattr(values["point"], name), kind)
        return cls(**values)

    def to_netcdf(self) -> bytes:
        """Serialise to NetCDF-3, which every netCDF reader understands."""
        return netcdf.encoded(*self._stored())

    def to_json(self) -> str:
        """Serialise to strict JSON, with NaN as null."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if not _is_transient(f)}
        values["point"] = None if self.point is None else vars(self.point)
        return json.dumps(files.plain({"kind": self.kind, "schema": SCHEMA, **values}), indent=1)

    def save(self, path: PathLike) -> None:
        """Write `path` atomically: NetCDF, or JSON where the name ends in .json."""
        path = as_path(path)
        files.write(path, self.to_json() if path.suffix == ".json" else self.to_netcdf())


def _plots() -> Any:
    """The drawing side, found by name when a figure is asked for: records are read without it."""
    return import_module("landscape.plots")


def _picture(figure: Any) -> str:
    """A matplotlib figure as an image inside the page."""
    png = base64.b64encode(figure._repr_png_()).decode()
    return f"<img style='max-width:100%' src='data:image/png;base64,{png}'>"


def axes_of(record: type[Record]) -> dict[str, Axes]:
    """Map the names of a record's arrays to their axes."""
    hints = get_type_hints(record, include_extras=True)
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: mark[0] for name, mark in marks.items() if mark}


def _check_type(name: str, value: Any, kind: Any) -> None:
    """Raise TypeError where a value is of another type than its field's."""
    allowed = [get_origin(k) or k for k in get_args(kind) or (kind,)]
    if get_origin(kind) not in (None, Union, UnionType):
        allowed = [get_origin(kind)]
    allowed = [{float: int | float, type(None): type(None)}.get(k, k) for k in allowed]
    if Any not in allowed and not any(isinstance(value, k) for k in allowed):
        raise TypeError(f"`{name}` is {type(value).__name__}")


def _is_default(f: Any, value: Any) -> bool:
    return not isinstance(value, np.ndarray) and (
        value == f.default or (value != value and f.default != f.default)
    )


def _word(name: str, value: Any, is_array: bool) -> str:
    if value is None or isinstance(value, Mapping) or (isinstance(value, str) and not value):
        return ""
    if not is_array:
        return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or not array.size or not np.isfinite(array).any():
        return ""
    shape = "×".join(map(str, array.shape))
    return f"{name} ({shape}) {np.nanmin(array):.4g} to {np.nanmax(array):.4g}"


def _is_transient(f: Any) -> bool:
    return bool(f.metadata.get("transient"))


def _jsonable(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
