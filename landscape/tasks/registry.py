"""Tasks: model + data set + loss, by name, with settings that train them well.

A user's own task and methods are registered beside these by `registration.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.data import DataSet, batches
from landscape.data.dataset import check_finite, subset
from landscape.network.batch import Batch, LossFn
from landscape.network.score import Score, score_of
from landscape.tasks import imports, user_code
from landscape.tasks.fine_tuning import FINE_TUNING
from landscape.utils.names import canonical


def cross_entropy(model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of the model's logits (..., classes) and its classes (...), shape ().

    So the mean over examples, or over all places of all sequences.
    """
    logits = model(batch.x)
    return F.cross_entropy(
        logits.flatten(0, -2), batch.y.flatten(), label_smoothing=label_smoothing
    )


@dataclass(frozen=True)
class Task:
    """Network, data and settings to train with.

    model, data: names in MODELS and DATA, or references to the user's own factories;
    model_settings, data_settings: keywords of these.
    loss: a name in LOSSES, or a reference to the user's own; "" for cross-entropy, or what fits the
    user's model.
    defaults: settings of the task by section and method, as `resolve` takes them.
    measures: settings of measures that suit the task, by measure.
    measured: examples that measures look at unless told otherwise.
    measured_at_once: examples per batch of a measure, so that gradient graphs fit in memory; also
    per batch of the metrics during training.
    """

    name: str
    summary: str
    model: str
    data: str
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    data_settings: Mapping[str, Any] = field(default_factory=dict)
    loss: str = ""
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measured: int = 1000
    measured_at_once: int = 1000
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def examples(self, asked: int | None) -> int:
        """Number of examples for measures: as many as requested, or the task's default."""
        return self.measured if asked is None else asked

    def build(self) -> nn.Module:
        """A fresh network, initialised from torch's global generator."""
        return user_code.model(self.model, self.model_settings)

    def load(self, data_dir: Path | None = None) -> DataSet:
        """The data set; FileNotFoundError says what to put where.

        Raises ValueError where inputs, or targets of the usual loss, hold NaN or infinity.
        """
        dataset = user_code.data_set(self.data, self.data_settings, data_dir)
        for part in ("train", "test"):
            x, y = getattr(dataset, f"{part}_x"), getattr(dataset, f"{part}_y")
            name = "training" if part == "train" else "test"
            check_finite(f"{name} set", x, None if self.loss else y)
        return dataset

    @property
    def plain_loss(self) -> LossFn:
        """The loss that measures see: no smoothing, no penalty, no weight decay."""
        if self.loss:
            return user_code.loss(self.loss)
        whose = (self.model, self.data)
        return user_code.usual_loss if any(map(imports.is_reference, whose)) else cross_entropy

    @property
    def score(self) -> Score:
        """Score of this task's classifiers: accuracy, or the one that its loss names."""
        return score_of(self.plain_loss)

    @property
    def takes_whole_batches(self) -> bool:
        """The loss is no mean over a batch's examples: batches have the training's size."""
        return getattr(self.plain_loss, "of_whole_batches", False)

    def evaluated_at_once(self, batch_size: int) -> int:
        """Examples of a batch of the metrics. batch_size: of the training."""
        return batch_size if self.takes_whole_batches else self.measured_at_once

    def pieces(self, part: Batch, examples: int, batch_size: int) -> list[Batch]:
        """Choose examples of a part of the data for measures, in batches; whole ones where the loss
        takes them. batch_size: of the training.
        """
        size = self.evaluated_at_once(min(batch_size, part.size))
        whole = self.takes_whole_batches
        chosen = subset(part, max(size, examples) if whole else examples)
        return list(batches(chosen, size, drop_last=whole))


_WIDE_NOISE = {"noise": {"sigmas": (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)}}
_SMALL_SURFACE = {"surface": {"size": 25}}  # their points are a thousand times dearer
_Defaults = Mapping[str, Mapping[str, Any]]
_ADAMW = {"training": {"lr": 1e-3, "weight_decay": 0.01}}
_CIFAR: _Defaults = {
    "training": {"epochs": 200, "lr": 0.1},
    "data": {"batch_size": 128},
    "adamw": _ADAMW,
}
_LENET: _Defaults = {
    "training": {"epochs": 10, "lr": 0.05},
    "data": {"batch_size": 128},
    "adamw": _ADAMW,
    # At the paper's 0.2 its climb, which has no fixed length, outgrows a network without batch
    # norm: 66, 10 and 45 % after two epochs. The least held-out loss of 0.02, 0.05, 0.1.
    "aace": {"rho": 0.02},
}
# Transformers learn slowly with SGD: all methods stand on AdamW, except sgd itself.
_OVER_ADAMW = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01, "max_grad_norm": 1.0}
_SGD = {"training": {"optimizer": "sgd", "lr": 0.1, "weight_decay": 5e-4}}
_LANGUAGE_MEASURES = {
    **_SMALL_SURFACE,
    "relative_flatness": {"draws": 25},  # a tied head has no exact way: products of the whole model
}
_LANGUAGE: _Defaults = {
    "training": {**_OVER_ADAMW, "epochs": 10, "warmup": 0.05},
    "data": {"batch_size": 32},
    "sgd": _SGD,
}


def _split(name: str, tasks: int, epochs: int, lr: float, batch: int, **own: Any) -> Task:
    """A data set in tasks, trained by SGD without momentum or decay, in small batches, as usual in
    this field.
    """
    number = {5: "five tasks of two", 20: "twenty tasks of five"}[tasks]
    data, network = own.pop("data"), own.pop("network")
    plain = {"momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    defaults: dict[str, Mapping[str, Any]] = {
        "training": {**plain, "epochs": epochs, "lr": lr},
        "data": {"batch_size": batch},
        **(own.pop("methods", None) or {"adamw": _ADAMW}),
        "lifelong": {"tasks": tasks},
    }
    summary = f"{name.removeprefix('split-')} as {number} classes, one after the other, {network}"
    return Task(name, summary, data=data, defaults=defaults, **own)


def _language(name: str, summary: str, data: str) -> Task:
    return Task(
        name,
        summary,
        model="language-model",
        data=data,
        defaults=_LANGUAGE,
        measures=_LANGUAGE_MEASURES,
        measured=50,  # of 128 bytes each
        measured_at_once=50,
    )


TASKS: dict[str, Task] = {
    "digits": Task(
        "digits",
        "scikit-learn's embedded 8x8 digits, MLP 64-64-10",
        model="mlp",
        data="digits",
        defaults={
            "training": {"epochs": 40, "lr": 0.2},
            "adamw": {"training": {"lr": 0.01, "weight_decay": 0.01}},
        },
        measures=_WIDE_NOISE,
    ),
    "digits-cnn": Task(
        "digits-cnn",
        "the same digits, small conv net with batch norm",
        model="convnet",
        data="digits",
        defaults={"training": {"epochs": 15, "lr": 0.1}, "adamw": _ADAMW},
        measures=_WIDE_NOISE,
    ),
    "canvas-digits": Task(
        "canvas-digits",
        "the same digits on a canvas, a class for each pixel, U-Net with Dice loss",
        model="unet",
        data="canvas-digits",
        loss="dice",
        defaults={
            "training": {"epochs": 12, "lr": 0.1},
            "data": {"batch_size": 32},
            "adamw": _ADAMW,
            "fam": {"layer": "mid.0", "form": "kappa_hat"},
        },
        measured=256,
        measures={**_WIDE_NOISE, **_SMALL_SURFACE, "relative_flatness": {"layer": "mid.0"}},
    ),
    "mnist": Task(
        "mnist",
        "MNIST from its idx files, LeNet-size conv net",
        model="lenet",
        data="mnist",
        defaults=_LENET,
        measures={**_WIDE_NOISE, **_SMALL_SURFACE},
    ),
    "fashion-mnist": Task(
        "fashion-mnist",
        "Fashion-MNIST from its idx files, LeNet-size conv net",
        model="lenet",
        data="fashion-mnist",
        defaults=_LENET,
        measures={**_WIDE_NOISE, **_SMALL_SURFACE},
    ),
    "fashion-mnist-10k": Task(
        "fashion-mnist-10k",
        "10,000 of its training images, all of its test images, LeNet-size conv net",
        model="lenet",
        data="fashion-mnist",
        data_settings={"examples": 10_000},
        defaults={**_LENET, "data": {"batch_size": 64}},
        measures={**_WIDE_NOISE, **_SMALL_SURFACE},
    ),
    "cifar10-resnet18": Task(
        "cifar10-resnet18",
        "CIFAR-10 from its official batches, ResNet-18 with CIFAR stem",
        model="resnet18",
        data="cifar10",
        defaults=_CIFAR,
        measures=_SMALL_SURFACE,
        measured_at_once=100,
    ),
    "cifar10-resnet56": Task(
        "cifar10-resnet56",
        "CIFAR-10, ResNet-56",
        model="resnet56",
        data="cifar10",
        defaults=_CIFAR,
        measures=_SMALL_SURFACE,
        measured_at_once=100,
    ),
    "cifar10-resnet56-noshort": Task(
        "cifar10-resnet56-noshort",
        "CIFAR-10, ResNet-56 without its shortcuts",
        model="resnet56",
        data="cifar10",
        model_settings={"skip": False},
        defaults=_CIFAR,
        measures=_SMALL_SURFACE,
        measured_at_once=100,
    ),
    "cifar10-vit": Task(
        "cifar10-vit",
        "CIFAR-10, small vision transformer",
        model="vit",
        data="cifar10",
        defaults={
            "training": {**_OVER_ADAMW, "epochs": 200, "warmup": 0.05},
            "data": {"batch_size": 128},
            "sgd": _SGD,
        },
        measures=_SMALL_SURFACE,
        measured_at_once=100,
    ),
    "cifar100-wrn28-10": Task(
        "cifar100-wrn28-10",
        "CIFAR-100 from its official files, WRN-28-10",
        model="wrn28-10",
        data="cifar100",
        model_settings={"classes": 100},
        defaults=_CIFAR,
        measures=_SMALL_SURFACE,
        measured_at_once=25,
    ),
    "sst2-transformer": Task(
        "sst2-transformer",
        "SST-2 from GLUE's tables, transformer over its words",
        model="text-transformer",
        data="sst2",
        defaults={
            "training": {**_OVER_ADAMW, "epochs": 3},
            "data": {"batch_size": 64},
            "sgd": _SGD,
        },
        measures=_SMALL_SURFACE,
        measured=200,
        measured_at_once=100,
    ),
    "shakespeare-transformer": _language(
        "shakespeare-transformer", "Tiny Shakespeare, transformer over its bytes", "shakespeare"
    ),
    "text-transformer": _language(
        "text-transformer",
        "your input.txt, or the text that ships with Python, transformer over its bytes",
        "text",
    ),
    "split-digits": _split(
        "split-digits", 5, epochs=5, lr=0.3, batch=10,
        data="digits", model="mlp", network="MLP 64-64-10", measures=_WIDE_NOISE,
        methods={"adamw": {"training": {"lr": 0.01, "weight_decay": 0.01}}},
    ),
    "split-fashion-mnist": _split(
        "split-fashion-mnist", 5, epochs=1, lr=0.05, batch=32,
        data="fashion-mnist", model="lenet", network="LeNet-size conv net",
        measures={**_WIDE_NOISE, **_SMALL_SURFACE},
        methods={"adamw": _ADAMW, "aace": _LENET["aace"]},
    ),
    "split-cifar10": _split(
        "split-cifar10", 5, epochs=1, lr=0.05, batch=10,
        data="cifar10", model="resnet18", network="ResNet-18 with CIFAR stem",
        measures=_SMALL_SURFACE, measured_at_once=100,
    ),
    "split-cifar100": _split(
        "split-cifar100", 20, epochs=1, lr=0.05, batch=10,
        data="cifar100", model="resnet18", model_settings={"classes": 100},
        network="ResNet-18 with CIFAR stem", measures=_SMALL_SURFACE, measured_at_once=100,
    ),
    **{name: Task(name, **fields) for name, fields in FINE_TUNING.items()},
}  # fmt: skip


def task(name: str) -> Task:
    """The task of that name; ValueError names the nearest."""
    return TASKS[canonical("task", name, TASKS)]
