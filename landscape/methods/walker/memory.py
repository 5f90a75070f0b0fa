"""Memory of large vectors that is used again. The C library gives back blocks of over 32 MB when
they are freed, and the first touch of new pages takes six times as long as what is written there.
"""

import sys
from collections.abc import Sequence

import torch
from torch import Tensor

LARGE = 2**24  # bytes; smaller blocks are kept by the C library, and those on CUDA by torch


class Memory:
    """Vectors (n,) in blocks that are given out again once nothing refers to them any more: no
    tensor, view, graph or array. As many are kept as were in use at once.
    """

    def __init__(self, like: Tensor, n: int):
        self._like, self._n = like.detach(), n
        self._large = n * like.element_size() >= LARGE and like.device.type == "cpu"
        self._blocks: list[Tensor] = []
        self._idle = 0, 0  # what refers to a block that is not in use

    def empty(self) -> Tensor | None:
        """A vector (n,) that holds anything, for `out`; None where torch's own is as quick."""
        if not self._large:
            return None
        for block in self._blocks:
            if _references(block) == self._idle:
                return block.detach()
        block = self._like.new_empty(self._n)
        self._idle = _references(block)
        self._blocks.append(block)
        return block.detach()

    def copy(self, vector: Tensor) -> Tensor:
        """A copy of a vector (n,)."""
        room = self.empty()
        return vector.clone() if room is None else room.copy_(vector)

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """Tensors of n entries in all, row-major one after the other."""
        return torch.cat([part.reshape(-1) for part in parts], out=self.empty())


def _references(block: Tensor) -> tuple[int, int]:
    """Count what refers to a tensor's memory: tensors, and objects of Python that are a storage."""
    storage = block.untyped_storage()
    return torch._C._storage_Use_Count(storage._cdata), sys.getrefcount(storage)
