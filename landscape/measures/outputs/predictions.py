"""Logits and targets of all examples, where the model stands."""

from collections.abc import Iterator

import torch
from torch import Tensor

from landscape.network.batch import class_logits, refuse_probabilities
from landscape.network.linear_layer import answers_of
from landscape.objective.objective import Objective


def predictions(objective: Objective) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) in float64 and targets (N,) at the objective's point, on the CPU.

    Places of a sequence are examples of their own; labels that are no class are left out.
    Raises ValueError where the targets are no classes, or the answers probabilities.
    """
    rows = objective.retry_on_oom(lambda: list(_rows(objective)))
    logits, labels = (torch.cat(parts) for parts in zip(*rows, strict=True))
    if not len(labels):
        raise ValueError("No target names a class. Got labels that are all ignored.")
    refuse_probabilities(logits, "This measure")
    return logits, labels


def _rows(objective: Objective) -> Iterator[tuple[Tensor, Tensor]]:
    risk = objective.risk
    with risk.opened(risk.w), answers_of(risk.model) as outputs:
        for batch in risk.batches:
            outputs.clear()
            if objective.logits is None:
                risk.batch_loss(batch)
                answer = outputs[0] if len(outputs) == 1 else None
            else:
                answer = risk.answer(objective.logits, batch)
            logits = class_logits(answer, batch.y)
            if logits is None:
                raise ValueError(
                    "The targets must be classes, one for each row of the model's logits. Give the "
                    "objective `logits`, or leave this measure out."
                )
            z = logits.detach().flatten(0, -2).double().cpu()
            y = batch.y.flatten().cpu()
            counts = (y >= 0) & (y < z.shape[-1])
            yield z[counts], y[counts]
