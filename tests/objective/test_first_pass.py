"""What is refused after the first passes, and by which name."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.network.batch import Batch

BATCH = Batch(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double(), None)


class Noisy(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.linear, self.draw = nn.Linear(3, 1), draw

    def forward(self, x):
        return self.linear(x) + self.draw()


class Remembering(nn.Module):
    """A recurrent layer that keeps its hidden state, in the graph or out of it."""

    def __init__(self, detach):
        super().__init__()
        self.gru, self.detach, self.h = nn.GRU(3, 2), detach, None

    def forward(self, x):
        y, h = self.gru(x[:, None], self.h)
        self.h = h.detach() if self.detach else h
        return y


CALLS = []


class Counting(nn.Module):
    """State where nobody can find it."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x):
        CALLS.append(1)
        return self.linear(x) * len(CALLS)


def loss(model, batch):
    return model(batch.x).square().mean()


@pytest.mark.parametrize(
    ("draw", "library"),
    [
        (lambda: torch.randn(()), "torch"),
        (lambda: F.dropout(torch.ones(6, 1)), "torch"),
        (np.random.rand, "numpy"),
        (random.random, "Python"),
    ],
)
def test_randomness_is_refused_by_the_name_of_its_library(draw, library):
    states = random.getstate(), np.random.get_state()[1].tolist()
    with pytest.raises(ValueError, match=f"it draws random numbers of {library}. Switch off"):
        Objective(Noisy(draw).double(), [BATCH], loss)
    assert states == (random.getstate(), np.random.get_state()[1].tolist())


@pytest.mark.parametrize("detach", [True, False])
def test_a_hidden_state_starts_every_pass_alike_and_comes_back(detach):
    torch.manual_seed(0)
    model = Remembering(detach).double()
    expected = loss(model, BATCH).item()
    model.h = None
    objective = Objective(model, [BATCH, BATCH][:1], loss)
    assert model.h is None
    assert [objective.value(), objective.value()] == [expected, expected]
    points = [objective.w, objective.w]
    assert [value for value, _ in objective.evaluate(points)] == [expected, expected]
    assert objective.hvp(objective.grad()).isfinite().all() and model.h is None
    model(BATCH.x)
    assert objective.value() == expected


def test_state_that_cannot_be_set_back_is_not_called_randomness():
    with pytest.raises(ValueError, match="it keeps state between passes outside of its modules"):
        Objective(Counting().double(), [BATCH], loss)
