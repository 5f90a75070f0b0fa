"""Stage of a training: a whole run, or one task of a sequence of tasks."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from landscape.data import Augment, DataSet, split
from landscape.lifelong.heads import by_task
from landscape.lifelong.sequence import TaskSequence, seen, sequence_of
from landscape.methods import make
from landscape.network.batch import Batch, LossFn
from landscape.tasks.label_noise import expected_cross_entropy
from landscape.tasks.registry import Task, cross_entropy
from landscape.training.evaluation import PlainEvaluation
from landscape.training.initial_weights import initialise
from landscape.training.parameter_groups import freeze
from landscape.training.settings import Settings, unlabelled
from landscape.training.streams import Examples
from landscape.utils.device import device_of
from landscape.utils.rng import seed_of, seeded

EVALUATED = 5000  # training examples at most on which an epoch's training loss is taken


@dataclass(frozen=True)
class Stage:
    """Network, method and examples of a training, and the examples that its metrics look at.

    evaluated: groups of examples by part, "train", "held_out" and "test"; the metrics of a part are
    means over its groups, which count equally. The last group is of `examples`, others of earlier
    tasks. augment: (x, generator) -> x for training batches.
    rate: factor of the learning rate. begins: metrics are taken before the first step, too.
    drawn: names of the parameters that were drawn beside weights from a file.
    """

    model: nn.Module
    method: Any
    examples: Examples
    evaluated: Mapping[str, Sequence[Batch]]
    evaluate: PlainEvaluation
    augment: Augment | None = None
    rate: float = 1.0
    begins: bool = True
    drawn: frozenset[str] = frozenset()

    def metrics(self, loss: LossFn, label_noise: float = 0.0) -> dict[str, float]:
        """Loss and accuracy of each part where the network stands.

        label_noise: share of the training labels that is not true; where it is above 0 the expected
        cross-entropy of test labels that are as noisy stands beside, if that is the loss.
        """
        row = {}
        for name, groups in self.evaluated.items():
            row[f"{name}_loss"], row[f"{name}_accuracy"] = self.evaluate.mean(name, groups, loss)
        if label_noise and loss is cross_entropy:
            noisy = expected_cross_entropy(label_noise)
            row["noisy_test_loss"] = self.evaluate.mean(
                "noisy test", self.evaluated["test"], noisy
            )[0]
        return row


def network(settings: Settings, task: Task) -> nn.Module:
    """A new network, drawn by the seed or from a file, on its device, with what is frozen."""
    return network_and_drawn(settings, task)[0]


def network_and_drawn(settings: Settings, task: Task) -> tuple[nn.Module, frozenset[str]]:
    """The network, and the names of its parameters that were drawn beside weights from a file."""
    device = device_of(settings.training.device)
    with seeded(seed_of(settings.seed, "init"), device):
        model = untrained(settings, task).to(device)
    drawn = initialise(model, settings.init)
    freeze(model, settings.training.groups)
    return model, drawn


def untrained(settings: Settings, task: Task) -> nn.Module:
    """A network as a run of these settings has it, initialised from torch's global generator."""
    model = task.build()
    return model if settings.lifelong is None else by_task(model, settings.lifelong)


def whole(settings: Settings, task: Task, dataset: DataSet) -> Stage:
    """The stage of a run on one data set: a new network on all the examples."""
    device, data = device_of(settings.training.device), settings.data
    model, drawn = network_and_drawn(settings, task)
    parts = split(dataset, settings.seed, data.held_out, data.label_noise)
    train, held_out, test = (p.to(device) for p in (parts.train, parts.held_out, parts.test))
    return Stage(
        model,
        make(unlabelled(settings.method), settings.methods),
        Examples(train, held_out, min(data.batch_size, train.size)),
        {"train": [train.rows(slice(EVALUATED))], "held_out": [held_out], "test": [test]},
        PlainEvaluation(model, task.evaluated_at_once(min(data.batch_size, train.size))),
        dataset.augment if data.augment else None,
        drawn=drawn,
    )


def training_loss(plain: LossFn, smoothing: float) -> LossFn:
    """The plain loss, or smoothed cross-entropy; ValueError where the loss is another one."""
    if not smoothing:
        return plain
    if plain is not cross_entropy:
        raise ValueError(
            "`training.label_smoothing` is of the cross-entropy of our tasks. Put it into your "
            "own --loss."
        )
    return functools.partial(cross_entropy, label_smoothing=smoothing)


def examples_of(
    settings: Settings, dataset: DataSet, which: str, after: int | None = None
) -> Batch:
    """The training or test examples of a run, "train" or "test", as measures see them.

    after: of a sequence the number of tasks, from the first, whose examples they are; default all.
    """
    data = settings.data
    if settings.lifelong is None:
        parts = split(dataset, settings.seed, data.held_out, data.label_noise)
        return parts.train if which == "train" else parts.test
    return seen(getattr(_sequence(settings, dataset), which), after or settings.lifelong.tasks)


def tests_by_task(settings: Settings, dataset: DataSet) -> Sequence[Batch]:
    """The test examples of each task of a run's sequence."""
    return _sequence(settings, dataset).test


def _sequence(settings: Settings, dataset: DataSet) -> TaskSequence:
    assert settings.lifelong is not None
    data = settings.data
    return sequence_of(dataset, settings.lifelong, settings.seed, data.held_out, data.label_noise)
