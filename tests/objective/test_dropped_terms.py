"""Products by double backward where a custom autograd.Function may drop terms of them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import Trace
from landscape.network.higher_order import NoSecondDerivative

G = torch.Generator().manual_seed(0)
X, Y = torch.randn(12, 5, generator=G, dtype=torch.float64), torch.arange(12) % 3
BATCHES = [(X[:5], Y[:5]), (X[5:], Y[5:])]
KEPT_OR_NOT = pytest.mark.parametrize("memory", [None, 0])


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        return 3 * g * ctx.saved_tensors[0] ** 2


class Detached(Cube):
    @staticmethod
    def backward(ctx, g):
        return 3 * g * ctx.saved_tensors[0].detach() ** 2


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.a, self.b, self.function = nn.Linear(5, 4), nn.Linear(4, 3), function

    def forward(self, x):
        return self.b(self.function(self.a(x)))


def objective(function, memory=None, bent=None):
    torch.manual_seed(0)
    bend = bent or (lambda z: z)
    return Objective(
        Net(function).double(),
        BATCHES,
        lambda model, batch: F.cross_entropy(bend(model(batch.x)), batch.y),
        memory=memory,
    )


def cube(x):
    return x**3


@KEPT_OR_NOT
def test_dropped_terms_are_refused_at_every_product(memory):
    subject = objective(Detached.apply, memory)
    for at in (None, None, subject.w + 0.1):
        with pytest.raises(NoSecondDerivative, match=r"drops terms.*Trace"):
            subject.hvp(torch.ones_like(subject.w), at)


@KEPT_OR_NOT
def test_terms_that_a_loss_drops_are_refused(memory):
    subject = objective(cube, memory, bent=Detached.apply)
    with pytest.raises(NoSecondDerivative, match="drops terms"):
        subject.hvp(torch.eye(subject.weights.n, 2, dtype=torch.float64))


@KEPT_OR_NOT
def test_a_right_custom_function_is_compared_once(memory, monkeypatch):
    subject, plain = objective(Cube.apply, memory), objective(cube, memory)
    v, calls, grad = torch.ones_like(plain.w), [], subject.grad
    monkeypatch.setattr(subject, "grad", lambda at=None: calls.append(1) or grad(at))
    for at in (plain.w, plain.w, plain.w + 0.1):
        torch.testing.assert_close(subject.hvp(v, at), plain.hvp(v, at), rtol=1e-10, atol=1e-12)
    assert 0 < len(calls) <= 14


def test_a_function_that_another_point_brings_is_seen():
    bends = [cube]
    subject = objective(lambda x: bends[-1](x))
    v = torch.ones_like(subject.w)
    subject.hvp(v)
    bends.append(Detached.apply)
    with pytest.raises(NoSecondDerivative, match="drops terms"):
        subject.hvp(v, subject.w + 0.1)


def test_measures_go_on_by_differences():
    record, right = Trace(max_hvps=200)(objective(Detached.apply)), objective(cube)
    assert record.products == "finite differences"
    trace = right.hvp(torch.eye(right.weights.n, dtype=torch.float64)).trace()
    assert record.low <= float(trace) <= record.high
