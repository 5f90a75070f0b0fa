"""`train()` and `eval()` of a user's own are not called on the user's model (rule R1)."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import Eigenvalues
from landscape.measures.curvature.adapter import Item, LossModule
from landscape.network import modes
from landscape.network.batch import Batch
from landscape.network.isolation import kept_modes
from landscape.network.parameter_block import Block

X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double()
Y = torch.arange(9) % 2


class Adapter(nn.Module):
    """W + B A, where eval() adds B A to W for good and train() takes it away again."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, 3), requires_grad=False)
        self.a, self.b = nn.Parameter(torch.randn(1, 3)), nn.Parameter(torch.randn(2, 1))
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if self.merged == mode:
            self.weight.data += (-1 if mode else 1) * self.b.data @ self.a.data
            self.merged = not mode
        return self

    def forward(self, x):
        return F.linear(x, self.weight if self.merged else self.weight + self.b @ self.a)


class Ghost(nn.Module):
    """Means of two halves, which eval() averages."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("means", torch.tensor([[1.0], [3.0]]))

    def train(self, mode=True):
        if self.training and not mode:
            self.means.copy_(self.means.mean(0).expand(2, 1))
        return super().train(mode)

    def forward(self, x):
        return self.linear(x - self.means[0])


def loss(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def hessian(model):
    """Dense, of A and B alone."""
    sizes = [p.numel() for p in (model.a, model.b)]
    weight = model.weight.detach().clone()

    def value(w):
        a, b = w.split(sizes)
        return F.cross_entropy(X @ (weight + b.view(2, 1) @ a.view(1, 3)).T, Y)

    w = torch.cat([model.a.detach().flatten(), model.b.detach().flatten()])
    return torch.autograd.functional.hessian(value, w)


def spectrum(model):
    values = torch.linalg.eigvalsh(hessian(model))
    return values[values.abs().argsort(descending=True)][:2].tolist()


@pytest.mark.parametrize("make", [lambda a: a, nn.Sequential])
def test_an_adapter_that_merges_keeps_its_curvature_and_its_weights(make):
    adapter = Adapter().double()
    model, before = make(adapter), copy.deepcopy(adapter.state_dict())
    record = Eigenvalues(k=2)(Objective(model, [Batch(X, Y)], loss))
    assert record.values.tolist() == pytest.approx(spectrum(adapter), rel=1e-6)
    assert all(torch.equal(before[key], t) for key, t in adapter.state_dict().items())
    assert adapter.training and not adapter.merged


def test_other_libraries_may_call_eval_on_what_they_are_given():
    adapter = Adapter().double()
    objective = Objective(adapter, [Batch(X, Y)], loss)
    stand_in = LossModule(objective, Block.of(adapter, objective.weights, None))
    stand_in.eval()
    (g,) = torch.autograd.grad(stand_in(Item(objective.batches[0])), stand_in.trainable[0])
    torch.testing.assert_close(g.flatten(), objective.grad()[:3])
    assert not adapter.merged


def test_an_adapter_that_is_merged_already_is_refused():
    model = nn.Sequential(Adapter(), nn.Linear(2, 2)).double().eval()
    with pytest.raises(ValueError, match=r"Parameters of '0' \(Adapter\) have no influence"):
        Objective(model, [Batch(X, Y)], loss)


def test_an_eval_that_changes_the_function_is_refused_until_it_was_called():
    model = Ghost().double()
    with pytest.raises(ValueError, match=r"eval\(\) of Ghost changes more than modes: the loss"):
        Objective(model, [Batch(X, Y)], loss)
    assert model.training and model.means.tolist() == [[1.0], [3.0]]
    value = Objective(model.eval(), [Batch(X, Y)], loss).value()
    assert value == pytest.approx(F.cross_entropy(model.linear(X - 2), Y).item())


def test_flags_of_every_module_are_set_and_come_back():
    model = nn.Sequential(Adapter(), nn.Sequential(nn.Dropout()))
    model[1][0].training = False
    before = [m.training for m in model.modules()]
    with kept_modes(model):
        modes.set_eval(model)
        assert not any(m.training for m in model.modules())
    assert [m.training for m in model.modules()] == before and not model[0].merged
