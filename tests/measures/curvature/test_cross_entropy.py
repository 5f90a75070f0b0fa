"""Gauss-Newton by the closed Hessian of cross-entropy against Jᵀ H_z J from dense matrices, and
against double backward.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call

from landscape.measures.curvature import cross_entropy, gauss_newton
from landscape.measures.curvature.operator import operator
from landscape.objective.objective import Objective

FLOAT64 = torch.float64
WEIGHT = torch.tensor([0.3, 1.0, 2.0], dtype=FLOAT64)


def net(outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, outputs)).double()


def data(ignored=False):
    torch.manual_seed(1)
    x, y = torch.randn(5, 2, dtype=FLOAT64), torch.tensor([0, 2, 1, 2, 0])
    if ignored:
        y[1] = -100
    return [(x[:3], y[:3]), (x[3:], y[3:])]


def of_logits(f):
    return lambda model, batch: f(model(batch.x), batch.y)


def soft(z, y):
    q = F.one_hot(y, 3).to(z) * 0.7 + 0.1
    return F.cross_entropy(z, q, WEIGHT, label_smoothing=0.2)


LOSSES = {
    "mean": F.cross_entropy,
    "a module": nn.CrossEntropyLoss(),
    "weights and smoothing": nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.2),
    "probabilities": soft,
    "ignored targets": lambda z, y: F.cross_entropy(z, y, WEIGHT, label_smoothing=0.1),
    "a sum": lambda z, y: F.cross_entropy(z, y, reduction="sum") / len(y),
    "examples weighed": lambda z, y: (F.cross_entropy(z, y, reduction="none") * (y + 1)).mean(),
    "temperature": lambda z, y: F.cross_entropy(z[:, [2, 0, 1]] / 0.5 - 1, y),
    "two calls": lambda z, y: 0.5 * F.cross_entropy(z[:2], y[:2]) + 0.5 * F.cross_entropy(2 * z, y),
    "positions": lambda z, y: F.cross_entropy(
        z[..., None].expand(-1, -1, 2), y[:, None].repeat(1, 2)
    ),
    "one by one": lambda z, y: sum(map(F.cross_entropy, z, y)) / len(y),
    "another loss": lambda z, y: (z.softmax(-1) - F.one_hot(y, 3)).square().mean(),
    "a cap": lambda z, y: F.cross_entropy(3 * torch.tanh(z / 3), y),
    "perplexity": lambda z, y: F.cross_entropy(z, y).exp(),
    "a penalty on logits": lambda z, y: F.cross_entropy(z, y) + 0.1 * z.square().mean(),
}
CLOSED = list(LOSSES)[:11]


def dense(model, batches, f):
    """Σ fraction · Jᵀ H_z J, batch by batch."""
    shapes = {name: p.shape for name, p in model.named_parameters()}
    w = torch.cat([p.detach().flatten() for p in model.parameters()])

    def outputs(w, x):
        sizes = [shape.numel() for shape in shapes.values()]
        views = [v.view(s) for v, s in zip(w.split(sizes), shapes.values(), strict=True)]
        return functional_call(model, dict(zip(shapes, views, strict=True)), (x,))

    found = 0
    for x, y in batches:
        j = jacobian(lambda w, x=x: outputs(w, x), w).flatten(0, 1)
        z = outputs(w, x).detach()
        h = hessian(lambda flat, z=z, y=y: f(flat.view_as(z), y), z.flatten())
        found = found + j.T @ h @ j * len(x) / sum(len(x) for x, _ in batches)
    return found


@pytest.mark.parametrize("name", LOSSES)
def test_products_are_those_of_dense_matrices(name, monkeypatch):
    model, f, batches = net(), LOSSES[name], data(name == "ignored targets")
    objective = Objective(model, batches, of_logits(f))
    made = []
    known = cross_entropy.softmax_hessians
    monkeypatch.setattr(
        gauss_newton, "softmax_hessians", lambda *a: made.append(known(*a)) or made[-1]
    )
    matrix = operator(objective, "gauss-newton")
    products = torch.stack([matrix.matvec(e) for e in torch.eye(matrix.n, dtype=FLOAT64)], 1)
    torch.testing.assert_close(products, dense(model, batches, f))
    assert [answer is not None for answer in made] == (3 * [True] if name in CLOSED else [False])


@pytest.mark.parametrize("policy", ["stored", "reestimated"])
@pytest.mark.parametrize("layer", [None, "3"])
def test_it_is_double_backward_to_rounding_also_of_a_block_and_in_one_graph(policy, layer):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()
    objective = Objective(model, data(), of_logits(F.cross_entropy), batch_norm=policy)
    matrix = operator(objective, "gauss-newton", layer)
    plain = operator(objective, "gauss-newton", layer)
    plain._exact.build = gauss_newton.by_double_backward
    plain._exact._kept = None
    for v in torch.eye(matrix.n, dtype=FLOAT64)[::4]:
        torch.testing.assert_close(matrix.matvec(v), plain.matvec(v))


class ComputesItsLoss(nn.Module):
    """Answers with loss and logits, as language models of transformers do."""

    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def test_a_model_that_computes_cross_entropy_of_the_logits_it_returns_is_seen_from_these():
    model = ComputesItsLoss()
    objective = Objective(model, data(), lambda m, b: m(b.x, b.y)["loss"])
    matrix = operator(objective, "gauss-newton")
    products = torch.stack([matrix.matvec(e) for e in torch.eye(matrix.n, dtype=FLOAT64)], 1)
    torch.testing.assert_close(products, dense(model.net, data(), F.cross_entropy))


def test_probabilities_count_as_kept_memory():
    sizes = []
    for memory in (0, 2**20):
        objective = Objective(net(), data(), of_logits(F.cross_entropy), memory=memory)
        risk, leaf = objective.risk, objective.w.requires_grad_()
        with risk.opened(leaf):
            sizes.append(gauss_newton.GaussNewton()(risk, risk.groups[0], leaf).held)
    assert sizes == [3 * 3 * 8] * 2
