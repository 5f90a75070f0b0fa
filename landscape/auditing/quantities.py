"""Quantities that a requirement can name: a number of a measure's record, with its interval."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from landscape.records import (
    AdaptiveSharpnessRecord,
    BatchEigenvaluesRecord,
    CalibrationRecord,
    CriticalSharpnessRecord,
    EigenvaluesRecord,
    FisherRaoRecord,
    NoiseRecord,
    PacBayesRecord,
    PruningRecord,
    QuantizationRecord,
    RelativeFlatnessRecord,
    WorstCaseRecord,
)
from landscape.statistics import noise_curve
from landscape.statistics.calibration_difference import calibration_difference
from landscape.statistics.intervals import Interval, t_quantile

LARGEST = 2.0**9  # σ that PAC-Bayes tries: what bears it bears more
MANY = 10**6  # degrees of freedom of a normal interval


@dataclass(frozen=True)
class Quantity:
    """Quantity that a requirement can name.

    measure: whose record answers; "evaluation" for an `Evaluation`.
    read: (record, argument) -> the number with its interval.
    argument: what stands behind the @ and the measure's setting that lists it; "" for nothing.
    change: (new record, old record, argument) -> the paired difference; default the difference of
    the two intervals.
    searched: it is the worst that a search found; the interval reaches to what may be worse.
    """

    measure: str
    read: Callable[[Any, str], Interval]
    argument: str = ""
    change: Callable[[Any, Any, str], Interval] | None = None
    searched: bool = False

    def change_of(self, record: Any, old: Any, argument: str) -> Interval:
        """New minus old, with its interval."""
        if self.change is not None:
            return self.change(record, old, argument)
        was, now = self.read(old, argument), self.read(record, argument)
        return Interval(now.mean - was.mean, now.low - was.high, now.high - was.low, now.n)


def _exact(value: float) -> Interval:
    return Interval(float(value), float(value), float(value), 1)


def _largest(record: EigenvaluesRecord, _: str) -> Interval:
    """Some eigenvalue lies within the bound of θ; that none lies above needs convergence."""
    i = int(np.nanargmax(record.values))
    value, bound = float(record.values[i]), float(record.bounds[i])
    high = value + bound if record.converged[i] else math.inf
    return Interval(value, value - bound, high, 1)


def _smallest(record: EigenvaluesRecord, _: str) -> Interval:
    i = int(np.nanargmin(record.values))
    value, bound = float(record.values[i]), float(record.bounds[i])
    low = value - bound if record.converged[i] else -math.inf
    return Interval(value, low, value + bound, 1)


def _trace(record: Any, _: str) -> Interval:
    return Interval(record.value, record.low, record.high, record.draws)


def _kappa(record: RelativeFlatnessRecord, _: str) -> Interval:
    return _from_stderr(record.value, record.stderr, record)


def _kappa_hat(record: RelativeFlatnessRecord, _: str) -> Interval:
    return _from_stderr(record.simplified, record.simplified_stderr, record)


def _from_stderr(value: float, stderr: float, record: RelativeFlatnessRecord) -> Interval:
    draws = int(record.settings["draws"])
    half = t_quantile(draws) * stderr if stderr else 0.0
    return Interval(value, value - half, value + half, draws)


def _at(axis: Any, argument: str) -> int:
    return int(np.abs(np.asarray(axis) - float(argument)).argmin())


def _noise(quantity: str) -> Callable[[NoiseRecord, str], Interval]:
    return lambda record, at: noise_curve.curve(record, quantity)[_at(record.sigma, at)]


def _noise_change(quantity: str) -> Callable[[NoiseRecord, NoiseRecord, str], Interval]:
    def change(new: NoiseRecord, old: NoiseRecord, at: str) -> Interval:
        found = noise_curve.difference(new, old, quantity)[_at(new.sigma, at)]
        return Interval(found.mean, found.low, found.high, found.n)

    return change


def _quantized(quantity: str) -> Callable[[QuantizationRecord, str], Interval]:
    return lambda record, name: _exact(getattr(record, quantity)[record.index(name)])


def _pruned(quantity: str) -> Callable[[PruningRecord, str], Interval]:
    return lambda record, at: _exact(getattr(record, quantity)[_at(record.fraction, at)])


def _worst_loss(record: WorstCaseRecord, at: str) -> Interval:
    """Value that the ascent found: the true worst case is at least as bad."""
    found = float(record.loss[_at(record.radius, at)])
    return Interval(found, found, math.inf, 1)


def _worst_accuracy(record: WorstCaseRecord, at: str) -> Interval:
    found = float(record.accuracy[_at(record.radius, at)])
    return Interval(found, 0.0, found, 1)


def _critical(record: CriticalSharpnessRecord, _: str) -> Interval:
    """The search's bracket, widened by the 95 % interval over the examples where it is known."""
    half = t_quantile(MANY) * record.stderr if math.isfinite(record.stderr) else 0.0
    return Interval(record.value, record.low - half, record.high + half, 1)


def _adaptive(record: AdaptiveSharpnessRecord, at: str) -> Interval:
    """Value that the ascent found: the true worst case is at least as bad."""
    found = float(record.mean[_at(record.radii, at)])
    return Interval(found, found, math.inf, 1)


def _fisher_rao(record: FisherRaoRecord, _: str) -> Interval:
    return _normal(record.value, record.stderr)


def _batch_mean(record: BatchEigenvaluesRecord, _: str) -> Interval:
    count = len(record.values)
    half = t_quantile(count) * record.stderr
    return Interval(record.mean, record.mean - half, record.mean + half, count)


def _batch_median(record: BatchEigenvaluesRecord, _: str) -> Interval:
    return Interval(record.median, record.median_low, record.median_high, len(record.values))


def _pac_bayes(form: int) -> Callable[[PacBayesRecord, str], Interval]:
    def read(record: PacBayesRecord, _: str) -> Interval:
        draws = int(record.settings["draws"])
        low, value, high = (
            LARGEST if math.isnan(a[form]) else float(a[form])
            for a in (record.low, record.sigma, record.high)
        )
        return Interval(value, low, math.inf if high == LARGEST else high, draws)

    return read


def _ece(record: CalibrationRecord, _: str) -> Interval:
    """The bootstrap interval over the examples; it holds the biased estimate in its middle."""
    n = len(record.confidence)
    return Interval(record.ece, min(record.ece_low, record.ece), record.ece_high, n)


def _brier(record: CalibrationRecord, _: str) -> Interval:
    return _exact(record.brier)


def _ece_change(new: CalibrationRecord, old: CalibrationRecord, _: str) -> Interval:
    return calibration_difference(new, old)


def _normal(value: float, stderr: float) -> Interval:
    half = t_quantile(MANY) * stderr if math.isfinite(stderr) else math.inf
    return Interval(value, value - half, value + half, MANY)


QUANTITIES: dict[str, Quantity] = {
    "accuracy": Quantity("evaluation", lambda found, _: _exact(found.accuracy)),
    "loss": Quantity("evaluation", lambda found, _: _exact(found.loss)),
    "grad_norm": Quantity("evaluation", lambda found, _: _exact(found.grad_norm)),
    "eigenvalues.max": Quantity("eigenvalues", _largest),
    "eigenvalues.min": Quantity("eigenvalues", _smallest),
    "trace": Quantity("trace", _trace),
    "flatness.kappa": Quantity("relative_flatness", _kappa),
    "flatness.kappa_hat": Quantity("relative_flatness", _kappa_hat),
    "noise.accuracy": Quantity("noise", _noise("accuracy"), "level", _noise_change("accuracy")),
    "noise.loss": Quantity("noise", _noise("loss"), "level", _noise_change("loss")),
    "quantization.accuracy": Quantity("quantization", _quantized("accuracy"), "format, as int8"),
    "quantization.loss": Quantity("quantization", _quantized("loss"), "format, as int8"),
    "pruning.accuracy": Quantity("pruning", _pruned("accuracy"), "share of weights"),
    "pruning.loss": Quantity("pruning", _pruned("loss"), "share of weights"),
    "worst.accuracy": Quantity("worst_case", _worst_accuracy, "radius", searched=True),
    "worst.loss": Quantity("worst_case", _worst_loss, "radius", searched=True),
    "critical_sharpness": Quantity("critical_sharpness", _critical),
    "adaptive_sharpness": Quantity("adaptive_sharpness", _adaptive, "radius", searched=True),
    "batch_eigenvalues.mean": Quantity("batch_eigenvalues", _batch_mean),
    "batch_eigenvalues.median": Quantity("batch_eigenvalues", _batch_median),
    "fisher_rao": Quantity("fisher_rao", _fisher_rao),
    "pac_bayes.sigma": Quantity("pac_bayes", _pac_bayes(0)),
    "pac_bayes.magnitude": Quantity("pac_bayes", _pac_bayes(1)),
    "calibration.ece": Quantity("calibration", _ece, change=_ece_change),
    "calibration.brier": Quantity("calibration", _brier),
}
