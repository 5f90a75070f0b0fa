"""Normalisation to the third derivative: torch's values, the formula's derivatives."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import weight_norm

from landscape.network.higher_order import ThirdOrder

MODULES = {
    "batch": lambda: nn.BatchNorm1d(3),
    "batch, cumulative": lambda: nn.BatchNorm1d(3, momentum=None),
    "batch, plain": lambda: nn.BatchNorm1d(3, affine=False, track_running_stats=False),
    "batch, eval": lambda: nn.BatchNorm1d(3).eval(),
    "layer": lambda: nn.LayerNorm(5),
    "layer, two": lambda: nn.LayerNorm((3, 5), bias=False),
    "layer, plain": lambda: nn.LayerNorm(5, elementwise_affine=False),
    "instance": lambda: nn.InstanceNorm1d(3, affine=True),
    "instance, tracking": lambda: nn.InstanceNorm1d(3, track_running_stats=True),
    "instance, eval": lambda: nn.InstanceNorm1d(3, track_running_stats=True).eval(),
    "group": lambda: nn.GroupNorm(3, 3),
    "root mean square": lambda: nn.RMSNorm(5),
}


@pytest.fixture
def normal():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", MODULES)
def test_values_and_running_statistics_are_torchs(name, normal):
    x, ours, torchs = 2 + normal(4, 3, 5), MODULES[name]().double(), MODULES[name]().double()
    for p, q in zip(ours.parameters(), torchs.parameters(), strict=True):
        p.data = q.data = normal(*p.shape)
    for _ in range(2):
        with ThirdOrder():
            found = ours(x)
        torch.testing.assert_close(found, torchs(x), rtol=1e-12, atol=1e-12)
    pairs = zip(ours.buffers(), torchs.buffers(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def derivatives(module, x, u):
    """Along u, the first to the third, (3,)."""
    y = module(x).sin()
    y, found = (y * torch.arange(y.numel()).view_as(y)).sum(), []
    for _ in range(3):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        y = (g * u).sum()
        found.append(y.detach())
    return torch.stack(found)


@pytest.mark.parametrize("name", MODULES)
def test_derivatives_against_finite_differences(name, normal):
    """Each derivative along u is the slope of the one before."""
    x, u, module = normal(4, 3, 5).requires_grad_(), normal(4, 3, 5), MODULES[name]().double()
    h = 1e-5
    with ThirdOrder():
        middle = derivatives(module, x, u)
        up, down = (
            derivatives(module, (x + s * h * u).detach().requires_grad_(), u) for s in (1, -1)
        )
    torch.testing.assert_close(middle[1:], ((up - down) / (2 * h))[:2], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim, normal):
    """Through torch's parametrization: value and derivatives by the direction."""
    layer = weight_norm(nn.Linear(5, 4, bias=False).double(), dim=dim)
    original = "parametrizations.weight.original1"
    x, v, u = normal(3, 5), normal(4, 5).requires_grad_(), normal(4, 5)

    def slopes(v):
        with ThirdOrder():
            return derivatives(lambda at: functional_call(layer, {original: at}, x).T, v, u)

    with ThirdOrder():
        found = functional_call(layer, {original: v}, x)
    torch.testing.assert_close(found, functional_call(layer, {original: v}, x))
    h = 1e-5
    up, down = (slopes((v + s * h * u).detach().requires_grad_()) for s in (1, -1))
    torch.testing.assert_close(slopes(v)[1:], ((up - down) / (2 * h))[:2], rtol=1e-6, atol=1e-6)


def test_half_precision_stays_and_is_computed_in_float(normal):
    x = (100 + normal(4, 3, 5)).bfloat16()
    with ThirdOrder():
        found = nn.LayerNorm(5)(x.float()).bfloat16(), nn.LayerNorm(5).bfloat16()(x)
    assert found[1].dtype == torch.bfloat16
    torch.testing.assert_close(*found)
