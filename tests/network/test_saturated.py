"""Hessian-vector products of losses that are nearly zero, against float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.network.higher_order import DoubleBackward

LOSSES = {
    "cross entropy": F.cross_entropy,
    "log of softmax": lambda z, y: F.nll_loss(z.log_softmax(1), y),
    "log_softmax of torch": lambda z, y: F.nll_loss(torch.log_softmax(z, 1), y),
    "log_softmax of nn": lambda z, y: F.nll_loss(nn.LogSoftmax(1)(z), y),
    "weights": lambda z, y: F.cross_entropy(z, y, weight=torch.tensor([1.0, 0.3, 2.0]).to(z)),
    "one of two": lambda z, y: F.binary_cross_entropy_with_logits(
        z, F.one_hot(y, 3).to(z), pos_weight=torch.tensor([1.0, 0.3, 2.0]).to(z)
    ),
}


def product(loss, z, y, v):
    z = z.requires_grad_()
    (g,) = torch.autograd.grad(loss(z, y), z, create_graph=True)
    return torch.autograd.grad(g, z, v)[0]


@pytest.mark.parametrize("name", LOSSES)
def test_products_of_learned_examples_are_right_to_rounding(name):
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(3, (20,), generator=generator)
    z = torch.randn(20, 3, generator=generator) + 24 * F.one_hot(y, 3) - 12
    v = torch.randn(20, 3, generator=generator)
    exact = product(LOSSES[name], z.double(), y, v.double())
    plain = product(LOSSES[name], z.clone(), y, v)
    with DoubleBackward():
        ours = product(LOSSES[name], z.clone(), y, v)
    assert ours.dtype == torch.float32
    apart = [float((h.double() - exact).norm() / exact.norm()) for h in (ours, plain)]
    assert apart[0] < 3e-7
    assert apart[1] > 10 * apart[0]


def test_many_numbers_and_other_dtypes_go_their_own_way(monkeypatch):
    monkeypatch.setattr("landscape.network.saturated.LARGEST", 59)
    z, y = torch.randn(20, 3), torch.zeros(20, dtype=torch.long)
    with DoubleBackward():
        assert torch.equal(F.cross_entropy(z, y), nn.CrossEntropyLoss()(z, y))
        assert F.log_softmax(z, 1, dtype=torch.float64).dtype == torch.float64
        assert z.bfloat16().log_softmax(1).dtype == torch.bfloat16
        ours = F.cross_entropy(z, y)
    assert torch.equal(ours, F.cross_entropy(z, y))
