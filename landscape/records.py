"""Records: what a measure answers. Arrays with named axes, units, settings, uncertainty; no torch.

A record is a frozen dataclass. It goes to an `xarray.Dataset` and back, and through that to NetCDF
(`to_netcdf`, `from_netcdf`: bytes) and one way to JSON. Arrays that were not computed hold NaN.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, get_type_hints

import numpy as np

from landscape import files

if TYPE_CHECKING:
    import xarray as xr

SCHEMA = 1
Array = np.ndarray[Any, np.dtype[Any]]


class Axes:
    """Names of an array's axes, in order, and the unit of its values."""

    def __init__(self, *names: str, units: str = "1"):
        self.names, self.units = names, units


@dataclass(frozen=True)
class Point:
    """Where a measure looked: what stands beside every flatness number, and on which data.

    loss, grad_norm, w_norm: L(w), ‖∇L(w)‖, ‖w‖; n: length of w; examples: how many were used;
    split: "train", "test" or "given"; batch_norm: the policy; fingerprint: of the data.
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """Common to all records. settings: of the measure; provenance: versions of what computed it."""

    kind: ClassVar[str]
    point: Point | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_dataset(self) -> "xr.Dataset":
        """Arrays as variables over named axes, everything else as JSON in the attributes."""
        import xarray as xr

        arrays, attributes = {}, {"kind": self.kind, "schema": SCHEMA}
        axes = axes_of(type(self))
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in axes:
                arrays[f.name] = (axes[f.name].names, value, {"units": axes[f.name].units})
            elif f.name == "point":
                attributes["point"] = json.dumps(None if value is None else vars(value))
            elif not f.metadata.get("transient"):
                attributes[f.name] = json.dumps(_jsonable(value))
        return xr.Dataset(arrays, attrs=attributes)

    @classmethod
    def from_dataset(cls, dataset: "xr.Dataset") -> Self:
        """The record that `to_dataset` wrote."""
        axes = axes_of(cls)
        values: dict[str, Any] = {}
        for f in fields(cls):
            if f.name in axes:
                values[f.name] = dataset[f.name].to_numpy()
            elif f.name in dataset.attrs:
                values[f.name] = _frozen(json.loads(dataset.attrs[f.name]))
        if values.get("point") is not None:
            values["point"] = Point(**values["point"])
        return cls(**values)

    def to_netcdf(self) -> bytes:
        """NetCDF-3, as xarray and every netCDF reader takes it."""
        return bytes(self.to_dataset().to_netcdf(engine="scipy"))

    def to_json(self) -> str:
        """Strict JSON; NaN as null."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if not _is_transient(f)}
        values["point"] = None if self.point is None else vars(self.point)
        return json.dumps(files.plain({"kind": self.kind, "schema": SCHEMA, **values}), indent=1)

    def save(self, path: Path | str) -> None:
        """Write `path` atomically: NetCDF, or JSON where the name ends in .json."""
        path = Path(path)
        files.write(path, self.to_json() if path.suffix == ".json" else self.to_netcdf())


@dataclass(frozen=True, eq=False)
class EigenvaluesRecord(Record):
    """Extreme eigenvalues of the Hessian; each true one lies within `bounds` of its value."""

    kind: ClassVar[str] = "eigenvalues"
    values: Annotated[Array, Axes("pair")]  # (k,) sorted by magnitude, as `which` says otherwise
    residuals: Annotated[Array, Axes("pair")]  # (k,) ‖Hv - θv‖
    bounds: Annotated[Array, Axes("pair")]  # (k,) min(r, r²/gap)
    converged: Annotated[Array, Axes("pair")]  # (k,) bool
    hvps: int
    which: str
    backend: str = "lanczos"
    vectors: Array | None = field(default=None, metadata={"transient": True})  # (n, k), not saved


@dataclass(frozen=True, eq=False)
class RelativeFlatnessRecord(Record):
    """Relative flatness of one layer: kappa (`value`) and kappa_hat (`simplified`).

    stderr: standard error of `value`; 0 where it is exact.
    """

    kind: ClassVar[str] = "relative_flatness"
    value: float
    simplified: float
    stderr: float
    layer: str
    estimator: str


@dataclass(frozen=True, eq=False)
class NoiseRecord(Record):
    """Loss and accuracy with noise on the weights, for each level and each draw."""

    kind: ClassVar[str] = "noise"
    sigma: Annotated[Array, Axes("sigma")]  # (s,) in units of `scale`
    loss: Annotated[Array, Axes("sigma", "draw")]  # (s, draws)
    accuracy: Annotated[Array, Axes("sigma", "draw")]  # (s, draws) in [0, 1]
    scale: str
    clean_loss: float
    clean_accuracy: float


@dataclass(frozen=True, eq=False)
class SurfaceRecord(Record):
    """Loss and accuracy on a plane: loss[i, j] at origin + x_i·d1 + y_j·d2."""

    kind: ClassVar[str] = "surface"
    x: Annotated[Array, Axes("x")]  # (s,)
    y: Annotated[Array, Axes("y")]  # (s,)
    loss: Annotated[Array, Axes("x", "y")]  # (s, s)
    accuracy: Annotated[Array, Axes("x", "y")]  # (s, s) in [0, 1]
    directions: str
    cosine: float  # between the two directions as used


@dataclass(frozen=True, eq=False)
class CurvesRecord(Record):
    """A run's metrics after each epoch (row 0: before the first step)."""

    kind: ClassVar[str] = "curves"
    epoch: Annotated[Array, Axes("epoch")]
    train_loss: Annotated[Array, Axes("epoch")]  # plain loss, eval mode, on the training examples
    train_accuracy: Annotated[Array, Axes("epoch")]
    test_loss: Annotated[Array, Axes("epoch")]
    test_accuracy: Annotated[Array, Axes("epoch")]
    learning_rate: Annotated[Array, Axes("epoch")]
    grad_evals: Annotated[Array, Axes("epoch", units="passes")]
    seconds: Annotated[Array, Axes("epoch", units="s")]


@dataclass(frozen=True, eq=False)
class RadiusRecord(Record):
    """The radius that LETS learned, mean over each epoch, and what moved it."""

    kind: ClassVar[str] = "radius"
    epoch: Annotated[Array, Axes("epoch")]
    radius: Annotated[Array, Axes("epoch")]
    gap: Annotated[Array, Axes("epoch")]  # held-out minus training loss on the step's batches
    agreement: Annotated[Array, Axes("epoch")]  # cosine of δ and dθ⁺/dρ
    negative: Annotated[Array, Axes("epoch")]  # share of steps in which it was below zero


@dataclass(frozen=True, eq=False)
class StudyRecord(Record):
    """One number per metric, method and seed; NaN where it was not computed."""

    kind: ClassVar[str] = "study"
    metrics: Annotated[Array, Axes("metric")]  # (m,) names, keys of METRICS
    methods: Annotated[Array, Axes("method")]  # (k,) names
    seeds: Annotated[Array, Axes("seed")]  # (s,) integers
    table: Annotated[Array, Axes("metric", "method", "seed")]
    status: Annotated[Array, Axes("method", "seed")]  # "finished", "diverged", "missing"
    task: str
    budget: str = "epochs"

    def values(self, metric: str, method: str) -> Array:
        """One metric of one method over the seeds, (s,)."""
        i, j = list(self.metrics).index(metric), list(self.methods).index(method)
        return self.table[i, j]


@dataclass(frozen=True, eq=False)
class ComparisonRecord(Record):
    """Statistics over the minima of a study: intervals, paired differences, rank correlations."""

    kind: ClassVar[str] = "comparison"
    metrics: Annotated[Array, Axes("metric")]
    methods: Annotated[Array, Axes("method")]
    mean: Annotated[Array, Axes("metric", "method")]
    low: Annotated[Array, Axes("metric", "method")]  # 95 % t interval
    high: Annotated[Array, Axes("metric", "method")]
    n: Annotated[Array, Axes("metric", "method")]  # seeds that count
    difference: Annotated[Array, Axes("metric", "method")]  # paired, method minus baseline
    difference_low: Annotated[Array, Axes("metric", "method")]
    difference_high: Annotated[Array, Axes("metric", "method")]
    effect_size: Annotated[Array, Axes("metric", "method")]  # d_z
    t_p: Annotated[Array, Axes("metric", "method")]
    holm_p: Annotated[Array, Axes("metric", "method")]  # of t_p over the methods
    sign_flip_p: Annotated[Array, Axes("metric", "method")]
    measures: Annotated[
        Array, Axes("measure")
    ]  # metrics whose rank correlation with the gap is given
    tau: Annotated[Array, Axes("measure")]  # Kendall tau-b with the generalisation gap, all minima
    tau_low: Annotated[Array, Axes("measure")]
    tau_high: Annotated[Array, Axes("measure")]
    within_tau: Annotated[Array, Axes("measure")]  # mean of the tau within each method
    baseline: str


@dataclass(frozen=True)
class Metric:
    """How a metric is shown. better: "higher", "lower" or "" where neither is."""

    label: str
    unit: str
    better: str


METRICS: dict[str, Metric] = {
    "test_accuracy": Metric("test accuracy", "", "higher"),
    "test_loss": Metric("test loss", "nats", "lower"),
    "train_loss": Metric("training loss", "nats", "lower"),
    "generalisation_gap": Metric("test loss − training loss", "nats", "lower"),
    "grad_norm": Metric("‖∇L‖", "", ""),
    "w_norm": Metric("‖w‖", "", ""),
    "lambda_max": Metric("λ max of the Hessian", "", "lower"),
    "kappa": Metric("relative flatness κ", "", "lower"),
    "kappa_hat": Metric("simplified relative flatness κ̂", "", "lower"),
    "noise_sigma_5": Metric("noise σ at −5 points of accuracy", "", "higher"),
    "grad_evals": Metric("gradient evaluations", "passes", "lower"),
    "seconds": Metric("training time", "s", "lower"),
}

RECORDS: dict[str, type[Record]] = {
    "eigenvalues": EigenvaluesRecord,
    "relative_flatness": RelativeFlatnessRecord,
    "noise": NoiseRecord,
    "surface": SurfaceRecord,
    "curves": CurvesRecord,
    "radius": RadiusRecord,
    "study": StudyRecord,
    "comparison": ComparisonRecord,
}


def load(path: Path | str) -> Record:
    """The record in a NetCDF file.

    Raises ValueError where the file is no record, is damaged, or was written by a newer program.
    """
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="scipy") as opened:
            dataset = opened.load()
        kind, schema = dataset.attrs["kind"], int(dataset.attrs["schema"])
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a record, or is damaged ({error}). Redo it.") from None
    if schema > SCHEMA or kind not in RECORDS:
        raise ValueError(
            f"{path} holds a {kind!r} record of schema {schema}; this program reads schema "
            f"{SCHEMA} of {', '.join(RECORDS)}. Use a newer landscape."
        )
    return RECORDS[kind].from_dataset(dataset)


def axes_of(record: type[Record]) -> dict[str, Axes]:
    """The arrays of a kind of record, by name."""
    hints = get_type_hints(record, include_extras=True)
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: mark[0] for name, mark in marks.items() if mark}


def _is_transient(f: Any) -> bool:
    return bool(f.metadata.get("transient"))


def _jsonable(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
