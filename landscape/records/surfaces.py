"""Records of the loss along lines and planes."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from landscape.records.record import Array, Axes, Record


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
