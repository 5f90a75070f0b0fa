"""Position of a walker: the model's weights as one vector, read once and kept until they move."""

from torch import Tensor

from landscape.methods.walker.memory import Memory
from landscape.network.weights import VERSION, Weights


class Position:
    """The point w (n,) at which the model's parameters stand."""

    def __init__(self, weights: Weights, memory: Memory):
        self.weights, self.memory = weights, memory
        self._flat: Tensor | None = None
        self._versions: list[int] = []

    def read(self) -> Tensor:
        """w (n,), never changed in place: whoever hands it out copies it."""
        versions = list(map(VERSION, self.weights.parameters))
        if self._flat is None or self._versions != versions:  # moved by us, or by somebody else
            self._flat = self.memory.joined([p.detach() for p in self.weights.parameters])
            self._versions = versions
        return self._flat

    def write(self, w: Tensor) -> None:
        """Put the parameters to w (n,)."""
        self.weights.write(w)
        self.forget()

    def forget(self) -> None:
        """Read the parameters anew the next time."""
        self._flat = None
