"""Small float64 networks with their objectives, and Hessians written out the naive way."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.network.batch import Batch
from landscape.network.filters import TRANSPOSED
from landscape.objective.objective import Objective


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


class Tied(nn.Module):
    """One weight used twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.second(torch.tanh(self.first(x)))))


NETS = {
    "mlp": lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)),
    "relu": lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 3)),
    "layer_norm": lambda: nn.Sequential(
        nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)
    ),
    "tied": Tied,
    "conv": lambda: nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
    ),
}


@pytest.fixture
def net():
    """A fresh network by name, float64, the same for the same seed; batch norm has seen data."""

    def make(name, seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = NETS[name]().double()
            for p in model.parameters():
                p.data += 0.3 * torch.randn_like(p)
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_()
                    module.running_var.uniform_(0.5, 2.0)
        return model

    return make


@pytest.fixture
def data():
    """Batches of unequal size, so that weighting by examples and by batches differ."""

    def make(name="mlp", sizes=(7, 4)):
        generator = torch.Generator().manual_seed(1)
        shape = (1, 3, 3) if name == "conv" else (6,)
        return [
            Batch(
                torch.randn(size, *shape, generator=generator, dtype=torch.float64),
                torch.randint(0, 3, (size,), generator=generator),
            )
            for size in sizes
        ]

    return make


@pytest.fixture
def objective(net, data):
    """The objective of a network by name with cross-entropy."""

    def make(name="mlp", seed=0, loss=cross_entropy, **options):
        return Objective(net(name, seed), data(name), loss, **options)

    return make


@pytest.fixture
def bare_objective():
    """L as a function of a bare vector: `make(w, f)` with f(w) the loss."""

    def make(w, f):
        model = nn.Module()
        model.w = nn.Parameter(torch.as_tensor(w, dtype=torch.float64))
        return Objective(model, [Batch(torch.zeros(1), None)], lambda m, _: f(m.w))

    return make


@pytest.fixture
def dense_hessian():
    """∇²L (n, n) by double backward through `functional_call`, or through the formula of batch
    norm.
    """

    def make(objective):
        leaf = objective.w.requires_grad_()
        value = (
            _conv(objective, leaf) if objective.batch_norm != "stored" else _any(objective, leaf)
        )
        (g,) = torch.autograd.grad(value, leaf, create_graph=True)
        return torch.stack([torch.autograd.grad(c, leaf, retain_graph=True)[0] for c in g])

    return make


def _mean(objective, outputs):
    total = sum(len(batch.y) for batch in objective.batches)
    pairs = zip(objective.batches, outputs, strict=True)
    return sum(F.cross_entropy(z, b.y, reduction="sum") for b, z in pairs) / total


def _any(objective, leaf):
    parameters, start = {}, 0
    for name, p in objective.model.named_parameters():
        parameters[name] = leaf[start : start + p.numel()].view_as(p)
        start += p.numel()
    objective.model.eval()
    return _mean(
        objective,
        [
            torch.func.functional_call(objective.model, parameters, batch.x, tie_weights=True)
            for batch in objective.batches
        ],
    )


def _conv(objective, leaf):
    """The net "conv" with the statistics of each batch, or with their mean over the batches."""
    w, b, gain, shift, head, bias = leaf.split([8, 2, 2, 2, 24, 3])
    h = [F.conv2d(batch.x, w.view(2, 1, 2, 2), b) for batch in objective.batches]
    again = objective.batch_norm == "reestimated"
    means = [t.mean((0, 2, 3), keepdim=True) for t in h]
    variances = [t.var((0, 2, 3), keepdim=True, correction=int(again)) for t in h]
    if again:
        shares = [len(t) / sum(map(len, h)) for t in h]
        for values in (means, variances):
            mean = sum(s * v for s, v in zip(shares, values, strict=True))
            values[:] = [mean] * len(h)
    normal = [
        (t - m) / (v + 1e-5).sqrt() * gain.view(2, 1, 1) + shift.view(2, 1, 1)
        for t, m, v in zip(h, means, variances, strict=True)
    ]
    return _mean(objective, [torch.tanh(t).flatten(1) @ head.view(3, 8).T + bias for t in normal])


@pytest.fixture
def flatness_by_definition():
    """κ = Σ ⟨w_s, w_s'⟩ tr H_ss' and κ̂ = ‖W‖² tr H of a layer, from its block of ∇²L; with features
    divided and columns multiplied by `scale` (m,).
    """

    def make(objective, layer, scale=1.0):
        name = f"{layer}.weight"
        own, shape = objective.layers[name], objective.weights.shapes[name]
        columns = torch.eye(objective.weights.n, dtype=torch.float64)[:, own]
        H = objective.hvp(columns)[own].view(*shape, *shape)
        W = objective.w[own].view(shape)
        if isinstance(objective.model.get_submodule(layer), TRANSPOSED):
            W, H = W.transpose(0, 1), H.transpose(0, 1).transpose(len(shape), len(shape) + 1)
        W = W.flatten(1)
        d, m = W.shape
        scale = torch.ones(m, dtype=torch.float64) * scale
        T = torch.einsum("stut,t->su", H.reshape(d, m, d, m), scale**-2)
        W = W * scale
        return float((W @ W.T * T).sum()), float(W.square().sum() * T.trace())

    return make
