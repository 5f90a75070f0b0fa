"""Settings of lifelong learning: tasks, outputs, and the memory of earlier tasks."""

import math
from dataclasses import dataclass

from landscape.utils.names import unknown

CHOICES: dict[str, tuple[str, ...]] = {
    "order": ("seed", "fixed"),
    "masked": ("always", "test"),
    "between": ("renew", "keep"),
    "batch_norm": ("shared", "per-task"),
    "replay": ("none", "balanced", "reservoir"),
    "measure": ("end", "task"),
}


@dataclass(frozen=True)
class LifelongSettings:
    """The classes of a data set in a sequence of tasks, trained one after the other.

    Every task has the settings of `training` anew: its epochs, its schedule. Which task an example
    belongs to is known, in training and in tests.

    tasks: how many, T, each with as many classes. order: of the classes, "seed" (drawn by the run's
    seed, the same for all methods) or "fixed" (as they are numbered).
    masked: "always" (the outputs of an example's own task alone: a head for each task) or "test"
    (in training the softmax runs over the classes of all tasks).
    between: the base optimizer at the start of a task, "renew" (without memory) or "keep".
    gamma: factor of the learning rate from task to task.
    batch_norm: "shared" (running statistics go on; tests use those of the last task) or "per-task"
    (a copy for each; weights and biases are shared).
    replay: "none", or from the second task on as many remembered examples as new ones in every
    batch: "balanced" (as many of each earlier task) or "reservoir" (a uniform sample of all that
    was seen). memory: how many are remembered, per class of the data set, in all tasks together.
    measure: when measures are asked, at the "end" or after each "task".
    """

    tasks: int = 5
    order: str = "seed"
    masked: str = "always"
    between: str = "renew"
    gamma: float = 1.0
    batch_norm: str = "shared"
    replay: str = "none"
    memory: int = 10
    measure: str = "end"

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(unknown(f"lifelong.{name}", getattr(self, name), known))
        for name in ("tasks", "memory"):
            if not getattr(self, name) >= 1:
                raise ValueError(
                    f"`lifelong.{name}` must be at least 1. Got {getattr(self, name)}."
                )
        if not 0 < self.gamma < math.inf:
            raise ValueError(f"`lifelong.gamma` must be positive. Got {self.gamma}.")
