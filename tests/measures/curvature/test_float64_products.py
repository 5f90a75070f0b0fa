"""Products in float64 of float32 networks, against the same network cast to float64."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.measures.curvature.float64_products import NoFloat64, float64_products
from landscape.measures.curvature.operator import operator
from landscape.objective.objective import Objective


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def pair(model, batches, **options):
    """The objective in float32, and at the same weights in float64."""
    single, batches = model.float(), [(b.x.float(), b.y) for b in batches]
    double = copy.deepcopy(single).double()
    return (
        Objective(single, batches, cross_entropy, **options),
        Objective(double, [(x.double(), y) for x, y in batches], cross_entropy, **options),
    )


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize(
    ("name", "layer", "policy"),
    [
        ("mlp", None, "stored"),
        ("relu", "2", "stored"),
        ("tied", "second", "stored"),
        ("layer_norm", None, "stored"),
        ("conv", None, "stored"),
        ("conv", "0", "batch"),
        ("conv", None, "reestimated"),
    ],
)
def test_they_are_those_of_the_network_in_float64(net, data, curvature, name, layer, policy):
    single, double = pair(net(name), data(name), batch_norm=policy)
    made, exact = operator(single, curvature, layer), operator(double, curvature, layer)
    before = copy.deepcopy(single.model.state_dict())
    vectors = torch.randn(made.n, 3, generator=torch.Generator().manual_seed(3))
    count = made.count
    products = float64_products(made, vectors)
    expected = torch.stack([exact.matvec(v.double()) for v in vectors.unbind(1)], 1)
    torch.testing.assert_close(products, expected, rtol=1e-12, atol=1e-14)
    assert made.count == count + 3
    after = single.model.state_dict()
    assert all(torch.equal(after[key], t) for key, t in before.items())
    assert {t.dtype for t in before.values()} == {t.dtype for t in after.values()}


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU])
def test_recurrent_layers(layer):
    torch.manual_seed(0)

    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = layer(4, 3, batch_first=True), nn.Linear(3, 3)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    model, x, y = Rows(), torch.randn(5, 3, 4), torch.arange(5) % 3
    double = copy.deepcopy(model).double()
    made = operator(Objective(model, [(x, y)], cross_entropy))
    exact = operator(Objective(double, [(x.double(), y)], cross_entropy))
    v = torch.randn(made.n, 1)
    expected = exact.matvec(v[:, 0].double())
    torch.testing.assert_close(float64_products(made, v)[:, 0], expected, rtol=1e-12, atol=1e-14)


class Once(torch.autograd.Function):
    """Twice its input, differentiated once."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return 2 * g


class InWords(nn.Module):
    """float32 whatever it is given."""

    def forward(self, x):
        return x.type("torch.FloatTensor")


class OnlyFloat32(nn.Module):
    """Fails where it is given anything but float32."""

    def forward(self, x):
        if x.dtype != torch.float32:
            raise TypeError("float32 only")
        return x


class Blowing(nn.Module):
    """Infinite in float64."""

    def forward(self, x):
        return x * (float("inf") if x.dtype == torch.float64 else 1.0)


class Raising(nn.Module):
    """An error of its own in float64."""

    def forward(self, x):
        return x * (1.0 if x.dtype == torch.float32 else 1 / 0)


class Applied(nn.Module):
    def forward(self, x):
        return Once.apply(x)


@pytest.mark.parametrize("insists", [InWords, OnlyFloat32, Blowing, Raising, Applied])
def test_a_network_without_float64_is_told_apart(net, data, insists):
    plain = net("mlp").float()
    model = nn.Sequential(plain[0], insists(), plain[1], plain[2])
    made = operator(Objective(model, [(b.x.float(), b.y) for b in data()], cross_entropy))
    with pytest.raises(NoFloat64):
        float64_products(made, torch.randn(made.n, 2))
    made.matvec(torch.randn(made.n))
