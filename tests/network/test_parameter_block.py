"""Blocks of w: which coordinates, and a model that stands on a leaf of them alone."""

import pytest
import torch
from torch import nn

from landscape.network.parameter_block import Block
from landscape.network.weights import Weights


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(8, 3, bias=False))
    return made.to(memory_format=torch.channels_last)


def test_read_and_embed(model):
    weights = Weights(model)
    block = Block.of(model, weights, "2")
    w = torch.arange(34.0)
    assert block.n == 24
    torch.testing.assert_close(block.read(w), w[10:])
    torch.testing.assert_close(block.embed(block.read(w)), torch.cat([torch.zeros(10), w[10:]]))
    assert Block.of(model, weights, None).whole and not block.whole


@pytest.mark.parametrize("layer", [None, "0", "2"])
def test_parameters_depend_on_the_leaf_alone(model, layer):
    weights = Weights(model)
    block = Block.of(model, weights, layer)
    w = torch.arange(34.0, requires_grad=True)
    leaf = (block.read(w.detach()) + 100).requires_grad_()
    views = block.parameters(w, leaf)
    moved = w.detach() + block.embed(torch.full((block.n,), 100.0))
    torch.testing.assert_close(weights.flatten(list(views)).detach(), moved)
    total = sum(view.square().sum() for view in views)
    (g,) = torch.autograd.grad(total, leaf, retain_graph=True)
    torch.testing.assert_close(g, 2 * leaf.detach())
    assert torch.autograd.grad(total, w, allow_unused=True) == (None,)
    for view, p in zip(views, weights.parameters, strict=True):
        if view.dim() == 4:
            assert view.is_contiguous(memory_format=torch.channels_last)
        assert view.shape == p.shape


def test_frozen_parameters_are_in_no_block(model):
    model[0].requires_grad_(False)
    with pytest.raises(ValueError, match="'0' has none; these have: 2"):
        Block.of(model, Weights(model), "0")
