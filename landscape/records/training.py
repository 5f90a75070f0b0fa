"""Records of a run's training: metrics per epoch, radius, sharpness over time."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from landscape.records.record import Array, Axes, Record


@dataclass(frozen=True, eq=False, repr=False)
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
    score: str = "accuracy"  # what the accuracies are


@dataclass(frozen=True, eq=False, repr=False)
class RadiusRecord(Record):
    """Radius learned by LETS, averaged over each epoch, and the terms of its gradient."""

    kind: ClassVar[str] = "radius"
    epoch: Annotated[Array, Axes("epoch")]
    radius: Annotated[Array, Axes("epoch")]
    gap: Annotated[Array, Axes("epoch")]  # held-out minus training loss on the step's batches
    agreement: Annotated[Array, Axes("epoch")]  # cosine of δ and dθ⁺/dρ
    negative: Annotated[Array, Axes("epoch")]  # share of steps in which it was below zero


@dataclass(frozen=True, eq=False, repr=False)
class SharpnessOverTrainingRecord(Record):
    """Curvature during a run; `point` is the last one, on the examples used throughout.

    Where λ_max exceeds the threshold, steps of the base optimizer along its eigenvector diverge.
    The trace is None if not asked for.
    """

    kind: ClassVar[str] = "sharpness_over_training"
    step: Annotated[Array, Axes("look", units="steps")]
    epoch: Annotated[Array, Axes("look", units="epochs")]
    learning_rate: Annotated[Array, Axes("look")]
    threshold: Annotated[Array, Axes("look")]  # 2/η, (2 + 2β)/η with momentum; NaN for Adam
    loss: Annotated[Array, Axes("look")]
    grad_norm: Annotated[Array, Axes("look")]
    w_norm: Annotated[Array, Axes("look")]
    lambda_max: Annotated[Array, Axes("look")]
    lambda_bound: Annotated[Array, Axes("look")]  # an eigenvalue lies this near
    ascent_gain: Annotated[Array, Axes("look")]  # L(w + e) − L(w) of the first climb; or NaN
    trace: Annotated[Array | None, Axes("look")] = None
    trace_stderr: Annotated[Array | None, Axes("look")] = None
