"""Records of robustness: noise, quantisation, pruning and the worst case nearby."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from landscape.records.record import Array, Axes, Point, Record


@dataclass(frozen=True, eq=False, repr=False)
class NoiseRecord(Record):
    """Loss and accuracy with noise on the weights, for each level and each draw.

    other_...: the same on other data, at the same noisy points; None if not asked for.
    """

    kind: ClassVar[str] = "noise"
    sigma: Annotated[Array, Axes("sigma")]  # (s,) in units of `scale`
    loss: Annotated[Array, Axes("sigma", "draw")]  # (s, draws)
    accuracy: Annotated[Array, Axes("sigma", "draw")]  # (s, draws) in [0, 1]
    scale: str
    clean_loss: float
    clean_accuracy: float
    other_loss: Annotated[Array | None, Axes("sigma", "draw")] = None
    other_accuracy: Annotated[Array | None, Axes("sigma", "draw")] = None
    other_clean_loss: float | None = None
    other_clean_accuracy: float | None = None
    other_point: Mapping[str, Any] | None = None
    precision: str = "ieee"  # of the noisy points: "ieee", "tf32" or "bf16"
    precision_error: float = 0.0  # largest of the loss, as a share of it, at a few points
    precision_accuracy_error: float = 0.0  # and of the accuracy there

    @property
    def other(self) -> "NoiseRecord | None":
        """Record of the other data; None if there is none."""
        if self.other_loss is None:
            return None
        values: dict[str, Any] = {name: None for name in vars(self) if name.startswith("other_")}
        for name in ("loss", "accuracy", "clean_loss", "clean_accuracy"):
            values[name] = getattr(self, f"other_{name}")
        values["point"] = None if self.other_point is None else Point(**self.other_point)
        return replace(self, **values)


@dataclass(frozen=True, eq=False, repr=False)
class QuantizationRecord(Record):
    """Loss and accuracy with quantised weights; deterministic, so exact on its examples."""

    kind: ClassVar[str] = "quantization"
    bits: Annotated[Array, Axes("bits")]  # (b,)
    loss: Annotated[Array, Axes("bits", "granularity")]  # (b, g)
    accuracy: Annotated[Array, Axes("bits", "granularity")]  # (b, g) in [0, 1]
    error: Annotated[Array, Axes("bits", "granularity")]  # (b, g) ‖w_q − w‖/‖w‖, of what is rounded
    granularity: tuple[str, ...]  # (g,)
    clean_loss: float
    clean_accuracy: float

    def index(self, name: str) -> tuple[int, int]:
        """Look up the indices of "int8-channel"; "int8" means the first granularity.

        Raises ValueError for a name that was not measured.
        """
        names = {
            f"int{bits}{suffix}": (i, j)
            for i, bits in enumerate(self.bits)
            for j, granularity in enumerate(self.granularity)
            for suffix in ([f"-{granularity}", ""] if j == 0 else [f"-{granularity}"])
        }
        if name not in names:
            raise ValueError(f"`name` must be one of {', '.join(names)}. Got {name!r}.")
        return names[name]


@dataclass(frozen=True, eq=False, repr=False)
class PruningRecord(Record):
    """Loss and accuracy without the smallest weights; deterministic, so exact on its examples."""

    kind: ClassVar[str] = "pruning"
    fraction: Annotated[Array, Axes("fraction")]  # (f,) as asked for
    pruned: Annotated[Array, Axes("fraction")]  # (f,) how many weights were set to zero
    loss: Annotated[Array, Axes("fraction")]  # (f,)
    accuracy: Annotated[Array, Axes("fraction")]  # (f,) in [0, 1]
    scope: str
    clean_loss: float
    clean_accuracy: float


@dataclass(frozen=True, eq=False, repr=False)
class WorstCaseRecord(Record):
    """Worst-case loss in a ball around the weights: a lower bound of the true maximum.

    reached: the loss from each start. Their disagreement hints at the error, but does not bound it.
    """

    kind: ClassVar[str] = "worst_case"
    radius: Annotated[Array, Axes("radius")]  # (r,) in units of `scale`
    loss: Annotated[Array, Axes("radius")]  # (r,) never falls
    accuracy: Annotated[Array, Axes("radius")]  # (r,) at the point of that loss, in [0, 1]
    reached: Annotated[Array, Axes("radius", "start")]  # (r, starts) the loss from each start
    scale: str
    clean_loss: float
    clean_accuracy: float
