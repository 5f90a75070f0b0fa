"""Small networks at several moments of training, on the embedded digits."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from landscape import Objective

EXAMPLES = 300


class Tied(nn.Module):
    """An autoencoder whose decoder is its encoder, transposed."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(20, 64) / 8)
        self.code, self.pixel = nn.Parameter(torch.zeros(20)), nn.Parameter(torch.zeros(64))

    def forward(self, x):
        return F.linear(torch.tanh(F.linear(x, self.weight, self.code)), self.weight.T, self.pixel)


class Rows(nn.Module):
    """An image as a sequence of its eight rows; the last state is classified."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.head = cell(8, 12, batch_first=True), nn.Linear(12, 10)

    def forward(self, x):
        return self.head(self.cell(x.unflatten(1, (8, 8)))[0][:, -1])


class Transformer(nn.Module):
    """The same sequence through one block with attention."""

    def __init__(self, norm_first):
        super().__init__()
        self.embed, self.place = nn.Linear(8, 12), nn.Parameter(0.1 * torch.randn(8, 12))
        self.block = nn.TransformerEncoderLayer(
            12, 2, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
        )
        self.head = nn.Linear(12, 10)

    def forward(self, x):
        return self.head(self.block(self.embed(x.unflatten(1, (8, 8))) + self.place).mean(1))


def mlp(activation):
    return nn.Sequential(
        nn.Linear(64, 20), activation(), nn.Linear(20, 16), activation(), nn.Linear(16, 10)
    )


def conv():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def layer_norm():
    return nn.Sequential(
        nn.Linear(64, 20), nn.LayerNorm(20), nn.GELU(), nn.Linear(20, 16), nn.LayerNorm(16),
        nn.GELU(), nn.Linear(16, 10),
    )  # fmt: skip


@dataclass(frozen=True)
class Network:
    """A network after `steps` full-batch steps of SGD with momentum 0.9 and rate `lr`.

    shrink: factor on all weights at initialisation; near 0 is near the saddle at the origin.
    """

    name: str
    build: Callable[[], nn.Module]
    steps: int
    lr: float = 0.1
    shrink: float = 1.0
    batch_norm: str = "stored"

    def criterion(self):
        """A loss of torch, mean over the batch."""
        return nn.MSELoss() if self.build is Tied else nn.CrossEntropyLoss()

    def data(self, dtype):
        """Images (300, 64) about zero, and classes, or the images again where these are learned."""
        x, y = digits()
        return x.to(dtype), x.to(dtype) if self.build is Tied else y

    def objective(self, dtype, **options):
        """The loss at the trained weights, in float32 or float64."""
        model, criterion = copy.deepcopy(trained(self)).to(dtype), self.criterion()
        return Objective(
            model,
            [self.data(dtype)],
            lambda m, b: criterion(m(b.x), b.y),
            batch_norm=self.batch_norm,
            **options,
        )


@cache
def trained(network):
    """The model of a `Network`, float32; the same for every call."""
    torch.manual_seed(0)
    model = network.build()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(network.shrink)
    sgd = torch.optim.SGD(model.parameters(), lr=network.lr, momentum=0.9)
    x, y = network.data(torch.float32)
    for _ in range(network.steps):
        sgd.zero_grad()
        network.criterion()(model(x), y).backward()
        sgd.step()
    return model


@cache
def digits():
    """The first examples of scikit-learn's digits, pixels in [-1, 1]."""
    bunch = load_digits()
    x = torch.from_numpy(bunch.data[:EXAMPLES] / 8 - 1).float()
    return x, torch.from_numpy(bunch.target[:EXAMPLES])


NETWORKS = (
    Network("MLP, tanh, at initialisation", lambda: mlp(nn.Tanh), 0),
    Network("MLP, tanh, early", lambda: mlp(nn.Tanh), 15),
    Network("MLP, tanh, late", lambda: mlp(nn.Tanh), 400),
    Network("MLP, tanh, near the saddle at 0", lambda: mlp(nn.Tanh), 0, shrink=0.1),
    Network("MLP, ReLU, late", lambda: mlp(nn.ReLU), 400, lr=0.05),
    Network("conv + batch norm, stored, early", conv, 20),
    Network("conv + batch norm, batch, late", conv, 200, batch_norm="batch"),
    Network("layer norm, early", layer_norm, 20),
    Network("layer norm, late", layer_norm, 300),
    Network("attention, at initialisation", lambda: Transformer(True), 0),
    Network("attention, late", lambda: Transformer(False), 200),
    Network("LSTM, early", lambda: Rows(nn.LSTM), 50),
    Network("GRU, late", lambda: Rows(nn.GRU), 300),
    Network("tied autoencoder, at initialisation", Tied, 0),
    Network("tied autoencoder, late", Tied, 600, lr=0.5),
    Network("tied autoencoder, near the saddle at 0", Tied, 0, shrink=0.2),
    Network("tied autoencoder, at the saddle, twenty values within 0.1 %", Tied, 0, shrink=0.01),
)
