"""Memory of examples of earlier tasks, as numbers of rows of the training set."""

from typing import Any

import torch
from torch import Tensor

from landscape.lifelong.settings import LifelongSettings


class Memory:
    """Memory that keeps nothing; the base of the others.

    rows: numbers of the remembered examples, (k,) int64. offered: how many were shown to it.
    """

    def __init__(self, size: int = 0):
        self.size, self.offered = size, 0
        self.rows = torch.empty(0, dtype=torch.int64)

    def offer(self, rows: Tensor, generator: torch.Generator) -> None:
        """Show it the examples of a step, in the first epoch of a task."""

    def end_task(self, train: Tensor, generator: torch.Generator) -> None:
        """Show it all training examples of a task that has ended."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Rows (count,) at random, each once where there are as many."""
        return drawn(self.rows, count, generator)

    def state_dict(self) -> dict[str, Any]:
        """State that later draws depend on."""
        return {"rows": self.rows, "offered": self.offered}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.rows, self.offered = state["rows"], state["offered"]


class Reservoir(Memory):
    """A uniform sample of all that was offered: algorithm R (Vitter, 1985).

    Example number s, from 0, takes slot s while s < M; else j is drawn from 0 ... s, and it takes
    slot j where j < M.
    """

    def offer(self, rows: Tensor, generator: torch.Generator) -> None:
        """Offer the examples of a step, one after the other."""
        kept = self.rows.tolist()
        for row in rows.tolist():
            if self.offered < self.size:
                kept.append(row)
            else:
                slot = int(torch.randint(self.offered + 1, (), generator=generator))
                if slot < self.size:
                    kept[slot] = row
            self.offered += 1
        self.rows = torch.tensor(kept, dtype=torch.int64)


class Balanced(Memory):
    """Choose as many examples of each task that has ended: ⌊M/t⌋ of t tasks, chosen at random."""

    def __init__(self, size: int):
        super().__init__(size)
        self._tasks: list[Tensor] = []

    def end_task(self, train: Tensor, generator: torch.Generator) -> None:
        """Take some examples of a task, and drop as many of the earlier ones as have no room."""
        tasks = [*self._tasks, train]
        each = self.size // len(tasks)
        self._tasks = [rows[_permutation(len(rows), generator)[:each]] for rows in tasks]
        self.rows = torch.cat(self._tasks)
        self.offered += len(train)

    def state_dict(self) -> dict[str, Any]:
        """State that later draws depend on."""
        return {**super().state_dict(), "tasks": self._tasks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        super().load_state_dict(state)
        self._tasks = list(state["tasks"])


KINDS: dict[str, type[Memory]] = {"none": Memory, "balanced": Balanced, "reservoir": Reservoir}


def memory_of(settings: LifelongSettings, classes: int) -> Memory:
    """The empty memory that the settings ask for, of `memory` examples for each of the classes."""
    size = 0 if settings.replay == "none" else settings.memory * classes
    return KINDS[settings.replay](size)


def drawn(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Some of the rows at random, (count,): each once, or with repeats where there are too few."""
    if len(rows) >= count:
        return rows[_permutation(len(rows), generator)[:count]]
    return rows[torch.randint(len(rows), (count,), generator=generator)]


def _permutation(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n, generator=generator)
