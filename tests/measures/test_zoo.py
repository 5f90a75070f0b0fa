"""Every measure on other people's networks, data and losses: it runs or says in one line why not,
and leaves the model bit for bit as it was.
"""

from dataclasses import fields

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from landscape import Batch, Objective
from landscape.measures import MEASURES, STANDARD

# Settings by name, wherever a measure has them: small, so that all pairs together take seconds.
SMALL = {
    "k": 2, "draws": 2, "size": 3, "steps": 2, "probes": 2, "lines": 2, "max_hvps": 24, "m": 4,
    "radii": (0.1,), "sigmas": (0.0, 0.05), "fractions": (0.0, 0.5), "restarts": 0,
    "average_radii": (0.1,), "quantity": "loss", "deviation": 0.02, "resamples": 100,
}  # fmt: skip
# Network and measure that do not go together, and what is said of it.
REFUSED = {
    ("regression", "calibration"): "must be classes",
    ("dicts", "calibration"): "must be classes",
    ("l2 in the loss", "fisher_rao"): "sees the weights only through the model's output",
}


class Reader(nn.Module):
    """A recurrent classifier of sequences."""

    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(2, 3, batch_first=True), nn.Linear(3, 3)

    def forward(self, x):
        return self.head(self.lstm(x.unflatten(1, (3, 2)))[0][:, -1])


class Attentive(nn.Module):
    """Fused attention, with dropout that eval mode switches off."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.inlet, self.head = nn.Linear(2, 4), nn.Linear(4, 3)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, x):
        return self.head(self.encoder(self.inlet(x.unflatten(1, (3, 2)))).mean(1))


class Speaker(nn.Module):
    """A language model whose head is its embedding."""

    def __init__(self):
        super().__init__()
        self.embedding, self.body = nn.Embedding(5, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(torch.tanh(self.body(self.embedding(tokens))))


class Named(nn.Module):
    """Dicts in, a dict out."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 3), nn.Linear(2, 3), nn.Linear(3, 3)

    def forward(self, left, right):
        return {"logits": self.head(torch.tanh(self.left(left) + self.right(right)))}


class Spare(nn.Module):
    """A layer and a parameter that no pass uses."""

    def __init__(self):
        super().__init__()
        self.body, self.idle, self.head = nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.extra = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.head(torch.tanh(self.body(x)))


class Recomputing(nn.Module):
    """Activation checkpointing: the backward pass runs the body again."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.3), nn.Linear(4, 4)
        )
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(checkpoint(self.body, x, use_reentrant=False)))


class Careless(nn.Module):
    """Dropout that ignores eval mode."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(F.dropout(x, 0.5))


def perceptron(*between, out=3):
    return nn.Sequential(nn.Linear(6, 4), *between, nn.Tanh(), nn.Linear(4, out))


def frozen():
    net = perceptron(nn.BatchNorm1d(4))
    return net.requires_grad_(False)[-1].requires_grad_() and net


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2, padding=1), nn.GroupNorm(2, 4), nn.SiLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def squared(model, batch):
    return F.mse_loss(model(batch.x), batch.y)


def next_token(model, batch):
    return F.cross_entropy(model(batch.x).flatten(0, 1), batch.y.flatten())


def named(model, batch):
    return F.cross_entropy(model(**batch.x)["logits"], batch.y["label"])


def with_l2(model, batch):
    return cross_entropy(model, batch) + 0.01 * sum(p.square().sum() for p in model.parameters())


ZOO = {  # name: network, loss
    "regression": (lambda: perceptron(out=2), squared),
    "lstm": (Reader, cross_entropy),
    "transformer": (Attentive, cross_entropy),
    "tied embedding": (Speaker, next_token),
    "frozen backbone": (frozen, cross_entropy),
    "dicts": (Named, named),
    "group norm": (convolutional, cross_entropy),
    "layer norm": (lambda: perceptron(nn.LayerNorm(4)), cross_entropy),
    "unused parameter": (Spare, cross_entropy),
    "checkpointing": (Recomputing, cross_entropy),
    "float64": (lambda: perceptron().double(), cross_entropy),
    "l2 in the loss": (perceptron, with_l2),
}
every_network = pytest.mark.parametrize("network", ZOO)
every_measure = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in STANDARD else pytest.mark.slow) for name in MEASURES],
)


def data(network):
    """Two batches of unequal size, in the form that the network takes."""
    generator = torch.Generator().manual_seed(1)
    for size in (5, 3):
        x = torch.randn(size, 6, generator=generator)
        y = torch.randint(0, 3, (size,), generator=generator)
        if network == "regression":
            yield Batch(x, torch.randn(size, 2, generator=generator))
        elif network == "tied embedding":
            tokens = torch.randint(0, 5, (size, 4), generator=generator)
            yield Batch(tokens[:, :-1], tokens[:, 1:])
        elif network == "dicts":
            yield Batch({"left": x[:, :4], "right": x[:, 4:]}, {"label": y})
        else:
            yield Batch(x.double() if network == "float64" else x, y)


@pytest.fixture
def animal():
    """A model in training mode with gradients from a step, and what makes its objective."""

    def make(network, wrap=lambda loss: loss, dtype=None, device="cpu"):
        build, loss = ZOO[network]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build()
            batches = list(data(network))
            loss(model, batches[0]).backward()
        if dtype is not None:
            model.to(dtype)
            batches = [Batch(cast(b.x, dtype), cast(b.y, dtype)) for b in batches]
        model.to(device)  # an objective takes the data along
        return model, lambda: Objective(model, batches, wrap(loss))

    return make


def cast(tree, dtype):
    if isinstance(tree, dict):
        return {key: cast(value, dtype) for key, value in tree.items()}
    return tree.to(dtype) if tree.is_floating_point() else tree


def measure(name, n):
    """A measure by name with the small settings that it knows."""
    kind = MEASURES[name]
    settings = {f.name: SMALL[f.name] for f in fields(kind) if f.name in SMALL}
    if name == "path":
        settings["end"] = torch.zeros(n)
    if name == "rise_area":
        settings |= {"size": 9, "cells": 1.0}  # the fewest points of a contour
    return kind(**settings)


def picture(model):
    """Bits, identities, modes, hooks and random state."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    gradients = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    bits = [
        (name, id(t), t.requires_grad, t.detach().cpu().contiguous().view(torch.uint8).tolist())
        for name, t in (*tensors, *gradients)
        if t.dim() or t.dtype.itemsize == 1
    ]
    scalars = [(name, id(t), t.item()) for name, t in tensors if not t.dim()]
    modules = [
        (name, m.training, len(m._forward_hooks), len(m._forward_pre_hooks))
        for name, m in model.named_modules()
    ]
    state = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()
    return bits, scalars, modules, state, torch.is_grad_enabled()


@pytest.mark.thinned(3)
@every_measure
@every_network
def test_runs_and_leaves_no_trace(animal, network, name):
    """R1. Numbers are finite, or NaN where there is none, as for the accuracy of a regression."""
    model, objective = animal(network)
    before = picture(model)
    subject = objective()
    if (network, name) in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[network, name]):
            measure(name, subject.weights.n)(subject)
        assert picture(model) == before
        return
    record = measure(name, subject.weights.n)(subject)
    assert picture(model) == before
    values = {k: np.asarray(v) for k, v in vars(record).items() if not isinstance(v, str)}
    numbers = {k: v for k, v in values.items() if v.dtype.kind == "f" and v.size}
    assert numbers
    for key, value in numbers.items():
        assert not np.isinf(value).any(), key
    assert any(np.isfinite(value).all() for value in numbers.values())


@pytest.mark.thinned(3)
@every_measure
@every_network
def test_an_interrupt_leaves_no_trace(animal, network, name):
    """Ctrl-C in the middle of a pass, in the middle of the measure."""
    calls, limit = [0], [10**9]

    def counted(loss):
        def interrupted(model, batch):
            value = loss(model, batch)
            calls[0] += 1
            if calls[0] >= limit[0]:
                raise KeyboardInterrupt
            return value

        return interrupted

    if (network, name) in REFUSED:
        pytest.skip("refused before the third pass")
    model, objective = animal(network, counted)
    before, subject = picture(model), objective()
    limit[0] = calls[0] + 3
    with pytest.raises(KeyboardInterrupt):
        measure(name, subject.weights.n)(subject)
    assert picture(model) == before


@every_network
def test_products_are_derivatives_of_the_gradient(animal, network):
    """H v against central differences in float64, away from w, where a recomputed or cached
    activation would belong to another point.
    """
    _, objective = animal(network, dtype=torch.float64)
    subject = objective()
    generator = torch.Generator().manual_seed(2)
    at, v = (torch.randn(subject.weights.n, generator=generator).double() for _ in range(2))
    at, h = subject.w + 0.3 * at, 1e-5
    expected = (subject.grad(at + h * v) - subject.grad(at - h * v)) / (2 * h)
    for _ in range(2):
        torch.testing.assert_close(subject.hvp(v, at), expected, rtol=1e-5, atol=1e-7)


def test_a_model_that_answers_differently_is_refused():
    model = Careless()
    before, batches = picture(model), list(data("mlp"))
    with pytest.raises(ValueError, match="answers differently twice on the same batch"):
        Objective(model, batches, cross_entropy)
    assert picture(model) == before


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda m, b: F.cross_entropy(m(b.x), b.y, reduction="none"), r"shape \(5,\)"),
        (lambda m, b: cross_entropy(m, b).item(), "float"),
    ],
)
def test_a_loss_that_is_no_mean_is_refused(loss, found):
    model = perceptron()
    before, batches = picture(model), list(data("mlp"))
    with pytest.raises(ValueError, match=rf"mean over the batch, of shape \(\). Got {found}"):
        Objective(model, batches, loss)
    assert picture(model) == before


@pytest.mark.gpu
@every_measure
@every_network
def test_runs_on_cuda(animal, network, name):
    model, objective = animal(network, device="cuda")
    before = picture(model)
    subject = objective()
    measure(name, subject.weights.n)(subject)
    assert picture(model) == before


def test_recurrent_layers_are_differentiated_without_cudnn(animal):
    """Its kernels refuse a backward pass in eval mode; what the user had set comes back."""
    seen = []

    def watched(loss):
        def look(model, batch):
            seen.append((torch.is_grad_enabled(), torch.backends.cudnn.enabled))
            return loss(model, batch)

        return look

    _, objective = animal("lstm", watched)
    objective().grad()
    assert set(seen) == {(True, False)}
    assert torch.backends.cudnn.enabled
