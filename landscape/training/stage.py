"""Stage of a training: a whole run, or one task of a sequence of tasks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from landscape.data import DataSet, split
from landscape.methods import make
from landscape.network.batch import Batch
from landscape.tasks.registry import Task
from landscape.training.evaluation import PlainEvaluation
from landscape.training.parameter_groups import freeze
from landscape.training.settings import Settings, unlabelled
from landscape.training.streams import Examples
from landscape.utils.device import device_of
from landscape.utils.rng import seed_of, seeded

EVALUATED = 5000  # training examples at most on which an epoch's training loss is taken


@dataclass(frozen=True)
class Stage:
    """Network, method and examples of a training, and what its metrics look at.

    evaluated: groups of examples by part, "train", "held_out" and "test"; the metrics of a part are
    means over its groups, which count equally. augment: (x, generator) -> x for training batches.
    """

    model: nn.Module
    method: Any
    examples: Examples
    evaluated: Mapping[str, Sequence[Batch]]
    evaluate: PlainEvaluation
    augment: Callable[[Any, torch.Generator], Any] | None = None


def whole(settings: Settings, task: Task, dataset: DataSet) -> Stage:
    """The stage of a run on one data set: a new network on all the examples."""
    device, data = device_of(settings.training.device), settings.data
    with seeded(seed_of(settings.seed, "init"), device):
        model = task.build().to(device)
    freeze(model, settings.training.groups)
    parts = split(dataset, settings.seed, data.held_out, data.label_noise)
    train, held_out, test = (p.to(device) for p in (parts.train, parts.held_out, parts.test))
    return Stage(
        model,
        make(unlabelled(settings.method), settings.methods),
        Examples(train, held_out, min(data.batch_size, train.size)),
        {"train": [train.rows(slice(EVALUATED))], "held_out": [held_out], "test": [test]},
        PlainEvaluation(model, task.evaluated_at_once(min(data.batch_size, train.size))),
        dataset.augment if data.augment else None,
    )
