"""Losses that keep weights, or differentiate by them, are one function of w all the same."""

import copy
from functools import cached_property

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad
from torch.nn.utils import parametrize

from landscape import Objective

FLOAT64 = torch.float64


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def data(sizes=(7, 5)):
    g = torch.Generator().manual_seed(1)
    return [
        (torch.randn(n, 3, generator=g, dtype=FLOAT64), torch.randint(0, 2, (n,), generator=g))
        for n in sizes
    ]


def whole():
    return [torch.cat(parts) for parts in zip(*data(), strict=True)]


def plain(tensors):
    x, y = whole()
    return F.cross_entropy(x @ tensors[0].T + tensors[1], y)


def linear():
    torch.manual_seed(0)
    return nn.Linear(3, 2).double()


def hessian(objective):
    return objective.hvp(torch.eye(objective.weights.n, dtype=FLOAT64))


def dense_hessian(loss, tensors):
    def flat(w):
        parts = w.split([t.numel() for t in tensors])
        return loss([p.view(t.shape) for p, t in zip(parts, tensors, strict=True)])

    return torch.autograd.functional.hessian(
        flat, torch.cat([t.detach().flatten() for t in tensors])
    )


def test_buffers_of_a_module_outside_of_the_model_do_not_move():
    model, teacher = linear(), nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)).double()

    def distilled(m, b):
        return F.mse_loss(m(b.x), teacher(b.x).detach())

    before = copy.deepcopy(teacher.state_dict())
    with pytest.raises(ValueError, match=r"outside of the model .BatchNorm1d.*call eval"):
        Objective(model, data(), distilled)
    assert all(torch.equal(before[key], t) for key, t in teacher.state_dict().items())
    teacher.eval()
    assert Objective(model, data(), distilled).value() > 0


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def test_weights_that_a_caller_has_cached_are_not_those_of_the_point():
    model = linear()
    parametrize.register_parametrization(model, "weight", Doubled())
    objective = Objective(model, data(), cross_entropy)
    there = objective.w * 3
    expected = objective.value(there), objective.evaluate([there])[0][0]
    with parametrize.cached():
        cached = model.weight
        assert (objective.value(there), objective.evaluate([there])[0][0]) == expected
        assert Objective(model, data(), cross_entropy).value(there) == expected[0]
        assert model.weight is cached


class Derived(nn.Module):
    """A weight computed once and kept."""

    def __init__(self):
        super().__init__()
        self.inner = linear()

    @cached_property
    def weight(self):
        return self.inner.weight * 1.0

    def forward(self, x):
        return x @ self.weight.T + self.inner.bias


class Hidden(nn.Module):
    """A state that goes from one call to the next."""

    def __init__(self, detach):
        super().__init__()
        self.inner, self.detach, self.h = linear(), detach, torch.zeros(2, dtype=FLOAT64)

    def forward(self, x):
        z = self.inner(x) + self.h
        self.h = z.detach().mean(0) if self.detach else z.mean(0)
        return z


@pytest.mark.parametrize("make", [Derived, lambda: Hidden(True), lambda: Hidden(False)])
@pytest.mark.parametrize("order", [1, -1])
def test_no_state_goes_from_batch_to_batch(make, order):
    model = make()
    objective = Objective(model, data()[::order], cross_entropy)
    tensors = list(model.parameters())
    assert objective.value() == pytest.approx(plain(tensors).item(), rel=1e-12)
    assert objective.evaluate([objective.w])[0][0] == pytest.approx(objective.value(), rel=1e-12)
    torch.testing.assert_close(hessian(objective), dense_hessian(plain, tensors))
    assert "weight" not in vars(model)


def by_autograd(m, b):
    loss = cross_entropy(m, b)
    slopes = torch.autograd.grad(loss, list(m.parameters()), create_graph=True)
    return loss + 0.1 * sum(g.square().sum() for g in slopes)


def by_functorch(m, b):
    def inner(tensors):
        return F.cross_entropy(functional_call(m, tensors, (b.x,)), b.y)

    slopes = grad(inner)(dict(m.named_parameters()))
    return cross_entropy(m, b) + 0.1 * sum(g.square().sum() for g in slopes.values())


@pytest.mark.parametrize("penalised", [by_autograd, by_functorch])
def test_gradients_of_the_weights_inside_the_loss(penalised):
    model, (x, y) = linear(), whole()

    def closed(tensors):
        z = x @ tensors[0].T + tensors[1]
        off = (z.softmax(1) - F.one_hot(y, 2)) / len(y)
        return F.cross_entropy(z, y) + 0.1 * (
            (off.T @ x).square().sum() + off.sum(0).square().sum()
        )

    objective, tensors = Objective(model, [(x, y)], penalised), list(model.parameters())
    value = closed(tensors).item()
    assert objective.value() == pytest.approx(value, rel=1e-12)
    assert objective.evaluate([objective.w])[0][0] == pytest.approx(value, rel=1e-12)
    torch.testing.assert_close(hessian(objective), dense_hessian(closed, tensors))
    assert all(p.grad is None for p in tensors)
