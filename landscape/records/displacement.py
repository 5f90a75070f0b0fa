"""Record of how far each parameter went from the weights that a training started from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from landscape.records.record import Array, Axes, Record


@dataclass(frozen=True)
class Part:
    """Parameters of one module that are treated alike: trained or frozen, from a file or drawn."""

    module: str
    frozen: bool = False
    drawn: bool = False

    @property
    def label(self) -> str:
        """The module, and what is special: "conv1 (frozen)", "head (drawn)"."""
        words = ", ".join(["drawn"] * self.drawn + ["frozen"] * self.frozen)
        return f"{self.module} ({words})" if words else self.module


@dataclass(frozen=True, eq=False, repr=False)
class DisplacementRecord(Record):
    """Distances from the weights that a run started from, w₀, to its last ones, w, by parameter.

    parameters: names, in the network's order, tied ones once. elements: numbers that each holds.
    distance: ‖w − w₀‖, NaN where w₀ is no longer known. start_norm: ‖w₀‖. frozen: not trained.
    drawn: w₀ was drawn by the seed and did not come from the file.

    Example: a module of two parameters, whose squares add up.

    >>> import numpy as np
    >>> from landscape import records
    >>> record = records.DisplacementRecord(
    ...     parameters=np.array(["body.weight", "body.bias"]), elements=np.array([6, 2]),
    ...     distance=np.array([3.0, 4.0]), start_norm=np.array([8.0, 6.0]),
    ...     frozen=np.zeros(2, dtype=bool), drawn=np.zeros(2, dtype=bool),
    ... )
    >>> record.parts()
    {Part(module='body', frozen=False, drawn=False): (5.0, 0.5)}
    """

    kind: ClassVar[str] = "displacement"
    parameters: Annotated[Array, Axes("parameter")]
    elements: Annotated[Array, Axes("parameter")]
    distance: Annotated[Array, Axes("parameter")]
    start_norm: Annotated[Array, Axes("parameter")]
    frozen: Annotated[Array, Axes("parameter")]
    drawn: Annotated[Array, Axes("parameter")]

    @property
    def relative(self) -> float:
        """‖w − w₀‖ / ‖w₀‖ over all that came from the file and was trained; NaN without any."""
        return self._over(~self.frozen.astype(bool) & ~self.drawn.astype(bool))[1]

    @property
    def trained(self) -> int:
        """Number of elements that were trained."""
        return int(self.elements[~self.frozen.astype(bool)].sum())

    def parts(self, depth: int | None = None) -> dict[Part, tuple[float, float]]:
        """Distance and relative distance, ‖w − w₀‖ and ‖w − w₀‖ / ‖w₀‖, of each part, in order.

        depth: words of a module's dotted name that count, "layer1.0" of "layer1.0.conv1" for 2;
        None: all. A relative distance from zero is NaN.
        """
        each = np.array([*self._parts(depth)], dtype=object)
        return {part: self._over(each == part) for part in dict.fromkeys(each.tolist())}

    def _parts(self, depth: int | None) -> Iterator[Part]:
        for name, frozen, drawn in zip(self.parameters, self.frozen, self.drawn, strict=True):
            module = str(name).rpartition(".")[0] or str(name)
            yield Part(".".join(module.split(".")[:depth]), bool(frozen), bool(drawn))

    def _over(self, chosen: Array) -> tuple[float, float]:
        """Distance and relative distance of the parameters in a mask together."""
        if not chosen.any():
            return np.nan, np.nan
        distance = float(np.linalg.norm(self.distance[chosen]))
        start = float(np.linalg.norm(self.start_norm[chosen]))
        return distance, distance / start if start else np.nan
