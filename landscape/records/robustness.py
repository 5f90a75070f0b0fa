"""Records of what a minimum bears: noise and other changes of its weights."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from landscape.records.record import Array, Axes, Record


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
