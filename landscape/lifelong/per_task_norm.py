"""Batch norm with running statistics of each task; weight and bias belong to all."""

import copy
from contextvars import ContextVar
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Tasks:
    """Tasks (n,) of the examples of a pass; what all layers ask of them is read from there once."""

    def __init__(self, task: Tensor):
        self.task = task

    @cached_property
    def latest(self) -> int:
        """The highest."""
        return int(self.task.max())

    @cached_property
    def parts(self) -> tuple[Tensor, Tensor, list[int], list[int]]:
        """The examples by task, the way back, the tasks, and the examples of each."""
        order = self.task.argsort(stable=True)
        numbers, counts = self.task.unique(return_counts=True)
        return order, order.argsort(), numbers.tolist(), counts.tolist()


TASK: ContextVar[Tasks | None] = ContextVar("task", default=None)  # of the pass at work


class PerTaskNorm(nn.Module):
    """Batch norms that share weight and bias, one for each task.

    In training a batch is normalised as a whole, and moves the statistics of the latest task in it:
    what is remembered of earlier ones is part of that task's batches. Otherwise each example is
    normalised by the statistics of its own task.
    """

    def __init__(self, norm: _BatchNorm, tasks: int):
        super().__init__()
        self.norms = nn.ModuleList([norm, *(copy.deepcopy(norm) for _ in range(tasks - 1))])
        for other in self.norms[1:]:
            other.weight, other.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (n, channels, ...)."""
        task = TASK.get()
        if task is None:
            raise ValueError("Batch norm per task needs the task of each example, as x['task'].")
        if self.training:
            latest: Tensor = self.norms[task.latest](x)
            return latest
        order, back, numbers, counts = task.parts
        pairs = zip(numbers, x[order].split(counts), strict=True)
        return torch.cat([self.norms[number](part) for number, part in pairs])[back]


def per_task_norms(model: nn.Module, tasks: int) -> None:
    """Put a `PerTaskNorm` in the place of each batch norm with running statistics."""
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, _BatchNorm) and layer.running_mean is not None:
                setattr(module, name, PerTaskNorm(layer, tasks))
