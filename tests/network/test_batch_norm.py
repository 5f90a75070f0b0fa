"""Batch norm's policies against statistics by hand, on layers of every kind."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from landscape import Objective
from landscape.measures import Eigenvalues
from landscape.network.batch import Batch

torch.set_default_dtype(torch.float32)
POLICIES = ("stored", "batch", "reestimated")


class WithActivation(nn.BatchNorm1d):
    def forward(self, x):
        return torch.tanh(super().forward(x))


class WithScale(nn.BatchNorm1d):
    """Normalises another tensor than it is given."""

    def forward(self, x):
        return super().forward(x**2)


class ByKernel(nn.BatchNorm1d):
    """As timm's layers: torch's function, called by the layer itself, and an activation."""

    def forward(self, x):
        y = torch.batch_norm(
            x, self.weight, self.bias, self.running_mean, self.running_var,
            self.training or not self.track_running_stats, 0.1, self.eps, False,
        )  # fmt: skip
        return F.silu(y)


class ByFormula(nn.BatchNorm1d):
    """Arithmetic of its own."""

    def forward(self, x):
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = x.mean(0), x.var(0, correction=0)
        return (x - mean) / (variance + self.eps).sqrt() * self.weight


class Net(nn.Module):
    """A layer between two linear ones, called once, twice, or by what the batch holds."""

    def __init__(self, norm, calls=1):
        super().__init__()
        self.a, self.norm, self.o, self.calls = nn.Linear(3, 4), norm, nn.Linear(4, 2), calls

    def forward(self, x):
        calls = self.calls if isinstance(self.calls, int) else self.calls[len(x)]
        scaled = (self.norm(self.shaped(self.a(x * (1 + i)))) for i in range(calls))
        z = sum(scaled, torch.zeros((), dtype=x.dtype))
        return self.o(z.flatten(2).mean(2) if z.dim() == 3 else z + self.a(x) * (calls == 0))

    def shaped(self, z):
        if isinstance(self.norm, nn.InstanceNorm1d):
            return z[:, :, None] * torch.tensor([1.0, -0.5, 2.0], dtype=z.dtype) ** 2
        return z


def norms():
    return {
        "plain": nn.BatchNorm1d(4),
        "activation": WithActivation(4),
        "kernel": ByKernel(4),
        "formula": ByFormula(4),
        "square": WithScale(4),
        "no affine": nn.BatchNorm1d(4, affine=False),
        "cumulative": nn.BatchNorm1d(4, momentum=None),
        "synchronised": nn.SyncBatchNorm(4),
        "no statistics": nn.BatchNorm1d(4, track_running_stats=False),
        "instance": nn.InstanceNorm1d(4, track_running_stats=True, affine=True),
        "instance, no statistics": nn.InstanceNorm1d(4),
    }


CALLS = {"once": 1, "twice": 2, "by batch": {7: 2, 5: 1}, "not in one batch": {7: 0, 5: 2}}


def net(kind, calls="once"):
    torch.manual_seed(3)
    model = Net(norms()[kind], CALLS[calls]).double()
    if model.norm.running_mean is not None:
        model.norm.running_mean.uniform_(-1, 1)
        model.norm.running_var.uniform_(0.5, 2)
    return model


def data():
    g = torch.Generator().manual_seed(5)
    return [
        Batch(torch.randn(n, 3, generator=g).double(), torch.randint(0, 2, (n,), generator=g))
        for n in (7, 5)
    ]


def loss(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def by_hand(model, policy):
    """Each policy by train mode, eval mode, and statistics that are put into the buffers."""
    model, batches = copy.deepcopy(model), data()
    norm = model.norm
    if policy == "reestimated" and norm.running_mean is not None:
        seen = []
        hook = norm.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
        sums = []
        for batch in batches:
            seen.clear()
            model.train()(batch.x)
            x = torch.cat(seen) if seen else None
            if x is None:
                continue
            x = x**2 if isinstance(norm, WithScale) else x
            if x.dim() == 3:
                sums.append((len(batch.y), x.mean(2).mean(0), x.var(2).mean(0)))
            else:
                sums.append((len(batch.y), x.mean(0), x.var(0)))
        hook.remove()
        total = sum(n for n, _, _ in sums)
        norm.running_mean = sum(n * mean for n, mean, _ in sums) / total
        norm.running_var = sum(n * variance for n, _, variance in sums) / total
    model.train(policy == "batch")
    return sum(len(b.y) * loss(model, b).item() for b in batches) / 12


@pytest.mark.thinned(3)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("calls", CALLS)
@pytest.mark.parametrize("kind", norms())
def test_the_value_is_that_by_hand(kind, calls, policy):
    model = net(kind, calls)
    value = Objective(model, data(), loss, batch_norm=policy).value()
    assert value == pytest.approx(by_hand(model, policy), rel=1e-12)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("kind", "calls"), [(k, "once") for k in norms()] + [("plain", "twice")])
def test_the_second_difference_along_an_eigenvector_is_its_eigenvalue(kind, calls, policy):
    objective = Objective(net(kind, calls), data(), loss, batch_norm=policy)
    record = Eigenvalues(k=1, tolerance=1e-6)(objective)
    v, w, h = torch.as_tensor(record.vectors[:, 0]).to(objective.w), objective.w, 1e-4
    values = [objective.value(w + t * h * v) for t in (-1, 0, 1)]
    second = (values[0] - 2 * values[1] + values[2]) / h**2
    assert second == pytest.approx(float(record.values[0]), rel=1e-4, abs=1e-6)


def test_statistics_run_through_weight_norm_to_the_second_derivative():
    """Torch's own weight norm has a wrong second derivative, also on the way to the statistics."""
    model = net("plain")
    model.a = nn.utils.parametrizations.weight_norm(model.a)
    objective = Objective(model, data(), loss, batch_norm="reestimated")
    w, h = objective.w, 1e-5
    v = torch.randn(len(w), generator=torch.Generator().manual_seed(0), dtype=w.dtype)
    numeric = (objective.grad(w + h * v) - objective.grad(w - h * v)) / (2 * h)
    torch.testing.assert_close(objective.hvp(v), numeric, rtol=1e-6, atol=1e-8)


class Freezing(nn.Module):
    """Keeps its batch norm in eval mode, as detectors do with a pretrained backbone."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def train(self, mode=True):
        super().train(mode)
        self.inner.norm.training = False
        return self

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", [True, False])
def test_frozen_layers_normalise_by_what_is_stored(policy, mode):
    stored = by_hand(net("plain"), "stored")
    by_flag = net("plain").train()
    by_flag.norm.eval()
    by_train = Freezing(net("plain")).train(mode)
    for model in (by_flag, by_train):
        value = Objective(model, data(), loss, batch_norm=policy).value()
        assert value == pytest.approx(stored, rel=1e-12)


def test_a_layer_leaves_no_trace_and_buffers_no_graph():
    model = net("plain")
    before, forward = copy.deepcopy(model.state_dict()), model.norm.forward
    objective = Objective(model, data(), loss, batch_norm="reestimated")
    objective.grad()
    assert model.norm.forward == forward and not model.norm._forward_hooks
    assert all(torch.equal(before[key], t) for key, t in model.state_dict().items())
    assert not model.norm.running_mean.requires_grad


class Recomputed(nn.Module):
    """Activation checkpointing around everything."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=False)


@pytest.mark.parametrize("policy", POLICIES)
def test_recomputed_activations_are_those_of_the_same_statistics(policy):
    plain, again = (
        Objective(m, data(), loss, batch_norm=policy)
        for m in (net("plain"), Recomputed(net("plain")))
    )
    assert again.value() == pytest.approx(plain.value(), rel=1e-12)
    torch.testing.assert_close(again.grad(), plain.grad())
    torch.testing.assert_close(again.hvp(plain.grad()), plain.hvp(plain.grad()))
