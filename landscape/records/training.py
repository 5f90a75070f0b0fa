"""Records of a run's training: what its metrics say."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from landscape.records.record import Array, Axes, Record


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
