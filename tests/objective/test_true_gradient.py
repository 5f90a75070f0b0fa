"""Values and derivatives of a loss are of one function, or there are no derivatives."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import measures
from landscape.network.batch import Batch
from landscape.objective import first_pass, true_gradient
from landscape.objective.objective import Objective


def network(outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, outputs))


def data(dtype):
    torch.manual_seed(1)
    x = torch.randn(40, 5, dtype=dtype)
    return [Batch((x, x + 0.3 * torch.randn(40, 5, dtype=dtype)), torch.randint(3, (40,)))]


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x[0]), batch.y)


def siamese(model, batch):
    z, other = (model(x) for x in batch.x)
    return -F.cosine_similarity(z, other.detach()).mean()


def to_a_target_of_its_own(model, batch):
    value, after = (model(x)[:, 0] for x in batch.x)
    return (value - batch.y - 0.9 * after.detach()).square().mean()


def to_its_own_answers(model, batch):
    """Its gradient is zero: that of the entropy with the detached factor left out."""
    z = model(batch.x[0])
    return -(z.softmax(1).detach() * z.log_softmax(1)).sum(1).mean()


def self_distilled(model, batch):
    with torch.no_grad():
        target = model(batch.x[1]).softmax(1)
    return F.cross_entropy(model(batch.x[0]), target) + cross_entropy(model, batch)


def with_detached_weights(model, batch):
    z = model(batch.x[0])
    p = z.softmax(1).gather(1, batch.y[:, None])[:, 0].detach()
    return ((1 - p) ** 2 * F.cross_entropy(z, batch.y, reduction="none")).mean()


def reversed_by_a_hook(model, batch):
    h = model[1](model[0](batch.x[0]))
    if h.requires_grad:
        h.register_hook(lambda g: -g)
    return F.cross_entropy(model[2](h), batch.y)


def of_weights_without_a_gradient(model, batch):
    """∇L differs from torch's in coordinates alone where torch's is zero."""
    own = F.cross_entropy(model[2](model[1](model[0](batch.x[0])).detach()), batch.y)
    return own + model[0](batch.x[1]).square().mean().detach()


LOSSES = (
    siamese,
    to_a_target_of_its_own,
    self_distilled,
    with_detached_weights,
    reversed_by_a_hook,
    of_weights_without_a_gradient,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", [*LOSSES, to_its_own_answers])
def test_what_torch_differentiates_in_part_has_values_alone(loss, dtype):
    objective = Objective(network().to(dtype), data(dtype), loss)
    assert objective.value() == objective.value(objective.w)
    with pytest.raises(ValueError, match=r"not that of the loss.*with a copy of the model"):
        objective.grad()
    with pytest.raises(ValueError, match="not that of the loss"):
        measures.Eigenvalues(k=1)(objective)


@pytest.mark.parametrize("loss", LOSSES)
def test_float32_tells_too(loss, monkeypatch):
    """As for large networks."""
    monkeypatch.setattr(true_gradient, "SMALL", 0)
    with pytest.raises(ValueError, match="not that of the loss"):
        Objective(network(), data(torch.float32), loss).grad()


class HalfInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        low = F.linear(x.bfloat16(), self.inner[0].weight.bfloat16())
        return self.inner[2](low.to(x.dtype).tanh())


def shifted_by_a_detached_maximum(model, batch):
    z = model(batch.x[0])
    z = z - z.amax(1, keepdim=True).detach()
    return -(z - z.exp().sum(1, keepdim=True).log()).gather(1, batch.y[:, None]).mean()


def of_the_hardest(model, batch):
    return F.cross_entropy(model(batch.x[0]), batch.y, reduction="none").topk(4).values.mean()


def in_float32(model, batch):
    return F.cross_entropy(model(batch.x[0]).float(), batch.y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize(
    ("build", "loss"),
    [
        (network, cross_entropy),
        (network, shifted_by_a_detached_maximum),
        (network, of_the_hardest),
        (network, in_float32),
        (HalfInside, cross_entropy),
    ],
)
def test_true_gradients_pass(build, loss, small, dtype, monkeypatch):
    monkeypatch.setattr(true_gradient, "SMALL", 200_000 if small else 0)
    assert Objective(build().to(dtype), data(dtype), loss).risk.no_derivatives == ""


@pytest.mark.parametrize("distance", [0.0, 1e-7])
@pytest.mark.parametrize("activation", [F.relu, torch.abs, F.hardtanh])
def test_a_kink_at_the_weights_passes(distance, activation):
    """Every example lies on a kink of each unit, or next to it."""
    model = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, 3)).double()
    model[0].bias.data.fill_(distance)
    x = torch.zeros(12, 5, dtype=torch.float64)
    loss = lambda m, b: F.cross_entropy(m[1](activation(m[0](b.x))), b.y)  # noqa: E731
    objective = Objective(model, [(x, torch.arange(12) % 3)], loss)
    assert objective.risk.no_derivatives == ""


def test_a_minimum_passes():
    model = nn.Linear(2, 1, bias=False).double()
    x = torch.randn(9, 2, dtype=torch.float64)
    y = x @ model.weight.detach().T
    objective = Objective(model, [(x, y)], lambda m, b: (m(b.x) - b.y).square().mean())
    assert not objective.grad().any()


def test_three_passes_of_a_few_examples_are_all_that_a_true_gradient_costs(monkeypatch):
    sizes = []

    def loss(model, batch):
        sizes.append(len(batch.x[0]))
        return cross_entropy(model, batch)

    monkeypatch.setattr(first_pass, "reason_against", lambda *_: "")
    Objective(network(), data(torch.float32), loss)
    without = len(sizes)
    monkeypatch.undo()
    sizes.clear()
    Objective(network(), data(torch.float32), loss)
    assert len(sizes) == without + 3
    assert max(sizes[-3:]) == 16
