"""The networks that are compared: trained a little, on embedded digits or made-up sequences."""

import copy
from dataclasses import dataclass
from functools import cache, partial

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from comparison.pictures import images
from comparison.rounds import Scale
from landscape import Objective
from landscape.models import language_model, lenet, mlp, resnet18
from landscape.models.resnet import BasicBlock, resnet


class CrossEntropy(nn.CrossEntropyLoss):
    """Of logits (..., classes) and targets (...): images and sequences alike."""

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return super().forward(z.flatten(0, -2), y.flatten())


CRITERION = CrossEntropy()


@dataclass(frozen=True)
class Subject:
    """A network with one batch: x, and classes y; the loss is cross-entropy."""

    name: str
    network: nn.Module
    x: Tensor
    y: Tensor

    @property
    def n(self) -> int:
        """The number of its weights."""
        return sum(p.numel() for p in self.network.parameters())

    @property
    def title(self) -> str:
        """Name, weights and examples, for a table."""
        return f"{self.name}, {self.n:,} weights, {len(self.x):,} examples"

    def copy(self) -> nn.Module:
        """A network of the caller's own."""
        return copy.deepcopy(self.network)

    @property
    def double(self) -> "Subject":
        """The same in float64."""
        x = self.x.double() if self.x.is_floating_point() else self.x
        return Subject(self.name, self.copy().double(), x, self.y)

    def objective(self, **options: object) -> Objective:
        """Ours, anew: nothing of an earlier measurement is left."""
        return Objective(self.network, [(self.x, self.y)], cross_entropy, **options)


def cross_entropy(model: nn.Module, batch) -> Tensor:
    """The loss, as ours are written."""
    return CRITERION(model(batch.x), batch.y)


def digits(count: int, side: int = 8) -> tuple[Tensor, Tensor]:
    """Images (count, 1, side, side) about zero, enlarged from 8x8, and their classes."""
    bunch = load_digits()
    chosen = torch.arange(count) % len(bunch.target)
    x = torch.from_numpy(bunch.images / 8 - 1).float()[chosen][:, None]
    x = x if side == 8 else F.interpolate(x, size=(side, side), mode="bilinear")
    return x, torch.from_numpy(bunch.target)[chosen]


def sequences(count: int, length: int, words: int) -> tuple[Tensor, Tensor]:
    """Tokens (count, length), and those that follow, of the same shape: usually one of two."""
    draw = torch.Generator().manual_seed(0)
    following = torch.randint(words, (words, 2), generator=draw)
    token, columns = torch.randint(words, (count,), generator=draw), []
    for _ in range(length + 1):
        columns.append(token)
        other = torch.randint(words, (count,), generator=draw)
        usual = following[token, torch.randint(2, (count,), generator=draw)]
        token = torch.where(torch.rand(count, generator=draw) < 0.8, usual, other)
    tokens = torch.stack(columns, 1)
    return tokens[:, :-1], tokens[:, 1:]


def trained(name, build, data, steps: int, lr: float, device: str) -> Subject:
    """After so many steps of SGD with momentum 0.9 on the whole batch."""
    torch.manual_seed(0)
    model, (x, y) = build().to(device), (t.to(device) for t in data)
    sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(steps):
        sgd.zero_grad()
        CRITERION(model(x), y).backward()
        sgd.step()
    sgd.zero_grad()
    return Subject(name, model.eval(), x, y)


@cache
def small_mlp(scale: Scale) -> Subject:
    """The digits' MLP."""
    build = partial(mlp, 64, (128,))
    return trained("MLP 64-128-10", build, digits(scale.pick(1000, 60)), 150, 0.1, scale.device)


@cache
def small_convolutions(scale: Scale) -> Subject:
    """LeNet on enlarged digits."""
    data = digits(scale.pick(200, 10), 28)
    return trained("LeNet", lenet, data, scale.pick(150, 5), 0.05, scale.device)


@cache
def small_language_model(scale: Scale) -> Subject:
    """A tied transformer of two blocks."""
    width = scale.pick(64, 8)
    build = partial(language_model, 64, 32, width, 2, 2)
    data = sequences(scale.pick(32, 4), 32, 64)
    return trained("language model", build, data, scale.pick(60, 5), 0.1, scale.device)


@cache
def wide_mlp(scale: Scale) -> Subject:
    """Three ReLU layers with about a million weights."""
    build = partial(mlp, 784, (scale.pick(512, 16),) * 3)
    data = digits(scale.pick(500, 20), 28)
    return trained("ReLU MLP, three layers", build, data, scale.pick(60, 5), 0.05, scale.device)


@cache
def residual(scale: Scale, examples: int = 4) -> Subject:
    """ResNet-18 with the stem of CIFAR-10, batch-norm statistics of its few images."""
    build = scale.pick(resnet18, partial(resnet, BasicBlock, (1, 1), 10, 3, width=4))
    data = images(examples, scale.pick(32, 8))
    return trained("ResNet-18", build, data, scale.pick(5, 1), 0.01, scale.device)
