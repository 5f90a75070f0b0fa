"""Records of a study: its numbers, and the statistics over its minima."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from landscape.records.record import Array, Axes, Record


@dataclass(frozen=True, eq=False, repr=False)
class StudyRecord(Record):
    """Table of metrics by method and seed; NaN where a number was not computed."""

    kind: ClassVar[str] = "study"
    metrics: Annotated[Array, Axes("metric")]  # (m,) names, keys of METRICS
    methods: Annotated[Array, Axes("method")]  # (k,) names
    seeds: Annotated[Array, Axes("seed")]  # (s,) integers
    table: Annotated[Array, Axes("metric", "method", "seed")]
    status: Annotated[Array, Axes("method", "seed")]  # "finished", "diverged", "missing"
    task: str
    budget: str = "epochs"
    loss: str = "cross-entropy, in nats"  # what losses are, and in which unit
    score: str = "accuracy"  # what accuracies are

    def values(self, metric: str, method: str) -> Array:
        """Select a metric of a method over the seeds, (s,)."""
        i, j = list(self.metrics).index(metric), list(self.methods).index(method)
        return self.table[i, j]


SIGNIFICANT = 0.05  # an adjusted p below it


def shown_direction(low: ArrayLike, high: ArrayLike, adjusted_p: ArrayLike) -> Array:
    """Sign of each paired difference that is shown to differ from zero: 1 higher, −1 lower.

    A difference is shown where its 95 % interval excludes zero and its p after Holm's correction
    is below 0.05; else 0. NaN where there is no interval. Shapes are those of the arguments.
    """
    start, end, p = (np.asarray(values, dtype=float) for values in (low, high, adjusted_p))
    sign = np.where(start > 0, 1.0, np.where(end < 0, -1.0, 0.0))
    direction = np.where(p < SIGNIFICANT, sign, 0.0)
    return np.where(np.isfinite(start) & np.isfinite(end), direction, np.nan)


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonRecord(Record):
    """Statistics over the minima of a study: intervals, paired differences, rank correlations.

    direction: the decision whether a difference is shown, see `shown_direction`; figures, tables
    and sentences read it here and do not decide again. A record without it gets it on loading.
    """

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
    within_tau_low: Annotated[Array | None, Axes("measure")] = None
    within_tau_high: Annotated[Array | None, Axes("measure")] = None
    across_tau: Annotated[Array | None, Axes("measure")] = None  # mean of that at each fixed seed
    across_tau_low: Annotated[Array | None, Axes("measure")] = None
    across_tau_high: Annotated[Array | None, Axes("measure")] = None
    granulated_tau: Annotated[Array | None, Axes("measure")] = None  # mean of within and across
    granulated_tau_low: Annotated[Array | None, Axes("measure")] = None
    granulated_tau_high: Annotated[Array | None, Axes("measure")] = None
    direction: Annotated[Array, Axes("metric", "method")] = None  # type: ignore[assignment]
    score: str = "accuracy"  # what accuracies are

    def __post_init__(self) -> None:
        if self.direction is None:
            decided = shown_direction(self.difference_low, self.difference_high, self.holm_p)
            object.__setattr__(self, "direction", decided)


@dataclass(frozen=True)
class Metric:
    """Label, unit and direction of a metric.

    unit: losses have the task's own, see `StudyRecord.loss`; better: "higher", "lower" or "" if
    neither is.
    """

    label: str
    unit: str
    better: str


METRICS: dict[str, Metric] = {
    "test_accuracy": Metric("test accuracy", "", "higher"),
    "test_loss": Metric("test loss", "", "lower"),
    "train_loss": Metric("training loss", "", "lower"),
    "generalisation_gap": Metric("test loss − training loss", "", "lower"),
    "grad_norm": Metric("‖∇L‖", "", ""),
    "w_norm": Metric("‖w‖", "", ""),
    "lambda_max": Metric("λ max of the Hessian", "", "lower"),
    "rise_area": Metric("area inside a rise of the loss", "", "higher"),
    "trace": Metric("trace of the Hessian", "", "lower"),
    "kappa": Metric("relative flatness κ", "", "lower"),
    "kappa_hat": Metric("simplified relative flatness κ̂", "", "lower"),
    "sharpness": Metric("sharpness at the middle radius", "", "lower"),
    "critical_sharpness": Metric("critical sharpness λ_c", "", "lower"),
    "adaptive_sharpness": Metric("adaptive sharpness at the middle radius", "", "lower"),
    "batch_lambda_max": Metric("λ max over mini-batches, mean", "", "lower"),
    "fisher_rao": Metric("squared Fisher–Rao norm", "", "lower"),
    "pac_bayes_sigma": Metric("PAC-Bayes σ", "", "higher"),
    "pac_bayes_magnitude": Metric("magnitude-aware PAC-Bayes σ", "", "higher"),
    "ece": Metric("expected calibration error", "", "lower"),
    "noise_sigma_5": Metric("noise σ at −5 points of accuracy", "", "higher"),
    "noise_accuracy": Metric("accuracy under noise, mean over σ", "", "higher"),
    "learning_accuracy": Metric("accuracy just after each task", "", "higher"),
    "forgetting": Metric("forgetting", "", "lower"),
    "backward_transfer": Metric("backward transfer", "", "higher"),
    "forward_transfer": Metric("forward transfer", "", "higher"),
    "grad_evals": Metric("gradient evaluations", "passes", "lower"),
    "seconds": Metric("training time", "s", "lower"),
}
