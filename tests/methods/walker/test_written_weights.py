"""Models that write into their own weights in a pass are refused before anything has moved."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import optim
from landscape.network.batch import Batch

BATCH = Batch(torch.tensor([[0, 1], [2, 3], [1, 1]]), torch.tensor([0, 1, 0]))


class Clamped(nn.Module):
    """Weights kept non-negative by writing into `.data`."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(4, 3), nn.Linear(6, 2)

    def forward(self, x):
        self.head.weight.data.clamp_(min=0)
        return self.head(self.embed(x).flatten(1))


def renormed():
    return nn.Sequential(nn.Embedding(4, 3, max_norm=0.1), nn.Flatten(), nn.Linear(6, 2))


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.mark.parametrize("make", [renormed, Clamped])
@pytest.mark.parametrize("method", ["sgd", "sam"])
def test_they_are_refused(make, method):
    torch.manual_seed(0)
    model = make()
    before = [p.detach().clone() for p in model.parameters()]
    stepper = optim.wrap(method, model, torch.optim.SGD(model.parameters(), 0.1), cross_entropy)
    with pytest.raises(ValueError, match="changes its own weights in a pass"):
        stepper.step(BATCH)
    assert all(map(torch.equal, before, model.parameters()))


def test_weights_that_are_not_numbers_are_not_written():
    model = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 2))
    model[2].bias.data.fill_(float("nan"))
    stepper = optim.wrap("sgd", model, torch.optim.SGD(model.parameters(), 0.1), cross_entropy)
    assert stepper.step(BATCH).isnan()
