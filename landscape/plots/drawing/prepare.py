"""From records to what is drawn: records by method, bands, scales."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from landscape.records import (
    METRICS,
    Array,
    EigenvaluesRecord,
    NoiseRecord,
    Record,
    SpectralDensityRecord,
)
from landscape.records.scores import score_name, worded
from landscape.records.surfaces import WalkRecord
from landscape.statistics.intervals import t_quantile
from landscape.utils.text import printable

SPLITS = {"train": "training"}
MATRICES = {
    "hessian": "Hessian",
    "gauss-newton": "Gauss–Newton matrix",
    "fisher": "Fisher matrix",
    "empirical-fisher": "empirical Fisher matrix",
}

T = TypeVar("T", bound=Record)
ByMethod: TypeAlias = T | Mapping[str, T | Sequence[T]]


def grouped(records: ByMethod[T], kind: type[T]) -> dict[str, list[T]]:
    """Method name -> its records, one per seed; a bare record belongs to the method "".

    Raises ValueError where there is nothing to draw or a record is of another kind.
    """
    if isinstance(records, Record):
        records = {"": records}
    groups = {
        method: [found] if isinstance(found, Record) else list(found)
        for method, found in records.items()
    }
    groups = {method: found for method, found in groups.items() if found}
    if not groups:
        raise ValueError(f"`records` must hold at least one {kind.kind} record. Got none.")
    for record in (record for found in groups.values() for record in found):
        if not isinstance(record, kind):
            raise ValueError(f"`records` must be {kind.kind} records. Got {type(record).__name__}.")
    return groups


def t_band(samples: Array) -> tuple[Array, Array, Array]:
    """Mean and 95 % Student t interval over the first axis: (s, ...) -> three arrays (...).

    One sample has no interval: NaN. A sample that is not finite leaves no mean: NaN, because the
    mean of the others would be too kind.
    """
    samples = np.where(np.isfinite(samples), samples, np.nan)
    n = len(samples)
    mean = samples.mean(axis=0)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = t_quantile(n) * samples.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def scale(values: Array, ratio: float = 30.0) -> str:
    """ "log" for positive values that span more than `ratio`, else "linear"."""
    finite = values[np.isfinite(values)]
    spans = finite.size > 0 and finite.min() > 0 and finite.max() > ratio * finite.min()
    return "log" if spans else "linear"


def shown(metric: str, values: Any) -> Array:
    """Values as a reader sees them: accuracies in %, everything else in its own unit."""
    return np.asarray(values, dtype=float) * (100.0 if metric.endswith("accuracy") else 1.0)


def axis_label(metric: str, records: Iterable[Record] = ()) -> str:
    """Name of a metric with its unit; accuracy by the name that the records have for it."""
    known = METRICS.get(metric)
    unit = "%" if metric.endswith("accuracy") else known.unit if known else ""
    label = worded(known.label if known else printable(metric), score_name(records))
    return f"{label} ({unit})" if unit else label


def plural(count: int, noun: str) -> str:
    """ "1 seed", "6 seeds"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def counts(numbers: Sequence[int], noun: str) -> str:
    """ "6 seeds", or "5–6 seeds" where methods differ."""
    low, high = min(numbers), max(numbers)
    return plural(low, noun) if low == high else f"{low}–{high} {noun}s"


def conditions(records: Sequence[Record]) -> str:
    """Conditions of the records: examples, split, batch-norm policy, arithmetic of points other
    than float32; all that occur.
    """
    points = [record.point for record in records if record.point is not None]
    if not points:
        return ""
    data = sorted({f"{p.examples:,} {SPLITS.get(p.split, p.split)} examples" for p in points})
    policies = sorted({p.batch_norm for p in points})
    return f"{' / '.join(data)}, batch norm: {' / '.join(policies)}{_arithmetic(records)}"


def _arithmetic(records: Sequence[Record]) -> str:
    """The arithmetic of points with its largest error; "" where all are in float32."""
    points = [r for r in records if isinstance(r, WalkRecord | NoiseRecord)]
    names = sorted({r.precision for r in points} - {"ieee"})
    error = max((r.precision_error for r in points), default=0.0)
    return f", {' / '.join(names)}: off by up to {error:.2g} of the loss" if names else ""


def matrix_name(records: Sequence[EigenvaluesRecord | SpectralDensityRecord]) -> str:
    """Name of an axis of eigenvalues: of which matrix they are, where all are of one."""
    kinds = {(record.curvature, record.layer) for record in records}
    if len(kinds) > 1:
        return "eigenvalue"
    ((curvature, layer),) = kinds
    block = "" if layer is None else f", block of {layer}"
    return f"eigenvalue of the {MATRICES.get(curvature, curvature)}{block}"
