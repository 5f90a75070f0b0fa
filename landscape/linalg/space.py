"""The space of the vectors: whole in one process, or in shards that several of them hold."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def _itself(t: Tensor) -> Tensor:
    return t


@dataclass(frozen=True)
class Space:
    """R^n with its inner product; a vector is the shard (local,) that this process holds.

    local: length of the shard. reduce: sums what the shards contribute to a number, any shape, and
    gives the same bits everywhere. rank: number of this shard.
    """

    n: int
    local: int
    reduce: Callable[[Tensor], Tensor] = _itself
    rank: int = 0

    @classmethod
    def whole(cls, n: int) -> "Space":
        """The vectors (n,) of one process."""
        return cls(n, n)

    @property
    def is_split(self) -> bool:
        """Test whether other processes hold shards."""
        return self.reduce is not _itself

    def dot(self, u: Tensor, v: Tensor) -> float:
        """u·v, products and sums in float64."""
        return float(self.reduce((u.double() * v.double()).sum()))

    def norm(self, v: Tensor) -> float:
        """‖v‖, in float64."""
        return self.dot(v, v) ** 0.5

    def seed(self, seed: int) -> int:
        """The seed of this shard's random numbers; that of a whole vector is `seed` itself."""
        return seed + (self.rank << 40)

    def generator(self, seed: int) -> torch.Generator:
        """A generator on the CPU for this shard."""
        return torch.Generator().manual_seed(self.seed(seed))
