"""A float32 network's pass in float64: what it computes with, and what is left behind."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.network.double_precision import KeepsFloat32
from landscape.objective.objective import Objective

WEIGHT = torch.tensor([1.0, 2.0, 3.0])
IMAGES = torch.randint(256, (9, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
CLASSES = torch.arange(9) % 3


class Casting(nn.Module):
    """Casts, makes numbers of its own, divides integers, writes into a buffer, has frozen ones."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(6, 5), nn.Linear(5, 3)
        self.first.bias.requires_grad_(False)
        self.register_buffer("mean", torch.zeros(5))
        self.scale = torch.tensor([1.5])

    def forward(self, x):
        z = torch.tanh(self.first(x / 255).float())
        self.mean.mul_(0.9).add_(0.1 * z.detach().mean(0))
        z = torch.cat([z[:, :2], z[:, 2:].to(torch.float32)], 1)
        return self.head(z * torch.full((5,), 0.5)) / self.scale + torch.zeros(3)


def objective(model):
    return Objective(
        model, [(IMAGES, CLASSES)], lambda m, b: F.cross_entropy(m(b.x), b.y, weight=WEIGHT)
    )


def test_every_number_is_a_float64():
    model = Casting()
    risk = objective(model).risk.in_float64()
    w, b = model.first.weight.double(), model.first.bias.double()
    z = torch.tanh(F.linear(IMAGES.double() / 255, w, b)) * 0.5
    z = F.linear(z, model.head.weight.double(), model.head.bias.double()) / 1.5
    exact = F.cross_entropy(z, CLASSES, weight=WEIGHT.double())
    assert risk.gradient(risk.w).dtype == torch.float64
    assert risk.value(risk.w) == pytest.approx(exact.item(), rel=1e-14)


def test_data_that_a_model_writes_into_are_float64_copies():
    torch.manual_seed(0)
    model, x = nn.Linear(6, 3), torch.rand(9, 6)
    loss = lambda m, b: F.cross_entropy(m(b.x.div_(3)), b.y)  # noqa: E731
    risk = Objective(model, [(x, CLASSES)], loss).risk.in_float64()
    z = F.linear(x.double() / 3, model.weight.double(), model.bias.double())
    assert risk.value(risk.w) == pytest.approx(F.cross_entropy(z, CLASSES).item(), rel=1e-15)


def test_nothing_of_it_stays():
    model = Casting()
    before = {key: (id(t), t.clone()) for key, t in model.state_dict(keep_vars=True).items()}
    risk = objective(model).risk.in_float64()
    risk.gradient(risk.w)
    after = model.state_dict(keep_vars=True)
    assert all(id(after[key]) == i and torch.equal(after[key], t) for key, (i, t) in before.items())
    assert torch.get_default_dtype() == torch.float32


class Insists(nn.Module):
    """Names its type in words, which no cast reaches."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.first(x / 255)).type("torch.FloatTensor"))


def test_a_network_that_insists_on_float32_is_noticed():
    model = Insists()
    risk = objective(model).risk.in_float64()
    with pytest.raises(KeepsFloat32, match=r"torch.float32 whatever"):
        risk.gradient(risk.w)
    assert torch.get_default_dtype() == torch.float32
    assert all(type(p) is nn.Parameter for p in model.parameters())
