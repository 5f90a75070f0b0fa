"""What methods say of models that take whole batches alone, and of losses without second
derivatives.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective, optim
from landscape.methods import AACE, FAM, LETS, MSAM
from landscape.network.batch import Batch
from landscape.network.higher_order import NoSecondDerivative

X, Y = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0])


class Mixing(nn.Module):
    """Rows see one another by a fixed matrix, as nodes of a graph."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        return torch.ones(4, 4) @ self.linear(x) / 4


class Two(nn.Module):
    """Takes two arguments, of which the batch holds a tuple."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x, gain):
        return self.linear(x) * gain


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def hinge(model, batch):
    return F.multi_margin_loss(model(batch.x), batch.y, p=2)


def stepper(method, model, loss, **options):
    return optim.wrap(method, model, torch.optim.SGD(model.parameters(), 0.1), loss, **options)


def test_msam_names_the_shards_that_a_model_cannot_take():
    with pytest.raises(ValueError, match=r"2 parts of the batch's 4 examples.*mat1 and mat2"):
        stepper(MSAM(num_shards=2), Mixing(), cross_entropy).step(Batch(X, Y))


def test_a_missing_second_derivative_is_named():
    batch, said = Batch(X, Y), "without a second derivative in torch: .*multi_margin"
    objective = Objective(nn.Linear(3, 2), [batch], hinge)
    with pytest.raises(NoSecondDerivative, match=said):
        objective.hvp(objective.w)
    with pytest.raises(ValueError, match=said):
        stepper(FAM(lam=0.1), nn.Linear(3, 2), hinge).step(batch)
    with pytest.raises(ValueError, match=said):
        exact = LETS(hessian="exact", upper="same")
        stepper(exact, nn.Linear(3, 2), hinge, held_out=[batch]).step(batch)


def test_logits_of_a_tuple_are_those_that_the_loss_gets():
    torch.manual_seed(0)
    pair = Two(), Two()
    pair[1].load_state_dict(pair[0].state_dict())
    batch = Batch((X, torch.full((4, 1), 2.0)), Y)

    def loss(model, b):
        return F.cross_entropy(model(*b.x), b.y)

    stepper(AACE(), pair[0], loss).step(batch)
    stepper(AACE(), pair[1], loss, logits=lambda m, b: m(*b.x)).step(batch)
    assert torch.equal(pair[0].linear.weight, pair[1].linear.weight)
