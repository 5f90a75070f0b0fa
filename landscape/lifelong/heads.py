"""Outputs by task: a network with an output for every class answers with those of the task.

Its last layer, W (T·c, m), is a head for each of T tasks: the outputs (n, T·c) are viewed as
(n, T, c), and the row of each example's task is picked. Heads of other tasks have gradient zero.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from landscape.lifelong.per_task_norm import TASK, Tasks, per_task_norms
from landscape.lifelong.settings import LifelongSettings
from landscape.network.batch import Batch, Logits


def by_task(model: nn.Module, settings: LifelongSettings) -> nn.Module:
    """Let a network take {"x": inputs, "task": (n,)} and answer by task; the same network.

    Its parameters keep their names. On inputs without a task it answers as before.
    """
    if settings.batch_norm == "per-task":
        per_task_norms(model, settings.tasks)

    def take(_: nn.Module, args: tuple[Any, ...]) -> Any:
        if not (args and isinstance(args[0], Mapping) and "task" in args[0]):
            return None
        TASK.set(Tasks(args[0]["task"]))
        return (args[0]["x"],)

    def answer(_: nn.Module, __: Any, outputs: Any) -> Any:
        task = TASK.get()
        TASK.set(None)
        if task is None or outputs is None or settings.masked == "test":  # None: the pass raised
            return outputs
        return of_task(outputs, task.task, settings.tasks)

    model.register_forward_pre_hook(take)
    model.register_forward_hook(answer, always_call=True)
    return model


def of_task(outputs: Tensor, task: Tensor, tasks: int) -> Tensor:
    """The outputs (n, c) of each example's task, from those of all tasks (n, T·c).

    Raises ValueError for other outputs than one row per example that tasks can share.

    Example: two tasks of two classes.

    >>> import torch
    >>> from landscape.lifelong.heads import of_task
    >>> of_task(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([1]), 2)
    tensor([[3., 4.]])
    """
    if outputs.dim() != 2 or outputs.shape[1] % tasks:
        raise ValueError(
            f"The network must answer with the classes of {tasks} tasks, (n, {tasks}·c). "
            f"Got shape {tuple(outputs.shape)}."
        )
    rows = outputs.unflatten(1, (tasks, -1))
    picked = task.view(-1, 1, 1).expand(-1, 1, rows.shape[2])
    return rows.gather(1, picked).squeeze(1)


def logits_of(settings: LifelongSettings | None) -> Logits | None:
    """Logits whose largest one counts in tests; None where they are the network's answer."""
    if settings is None or settings.masked == "always":
        return None

    def masked(model: nn.Module, batch: Batch) -> Tensor:
        outputs = model(batch.x)
        per_task = outputs.shape[1] // settings.tasks
        task = torch.arange(outputs.shape[1], device=outputs.device) // per_task
        return outputs.masked_fill(task != batch.x["task"][:, None], float("-inf"))

    return masked
