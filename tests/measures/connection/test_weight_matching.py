"""Weight matching against a worked example, planted permutations and the gate of the function."""

import copy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import Eigenvalues, Path
from landscape.measures.connection.neuron_axes import neuron_axes
from landscape.measures.connection.weight_matching import (
    WeightMatching,
    _likeness,
    axes_of,
    permute,
)

F64 = torch.float64


def mlp(*widths, seed=0, bias=True):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b, bias=bias), nn.ReLU()]
        return nn.Sequential(*layers[:-1]).double()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def vector(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def objective_of(model, x=None, y=None):
    x = torch.randn(6, 2, dtype=F64, generator=seeded(0)) if x is None else x
    y = torch.zeros(len(x), dtype=torch.long) if y is None else y
    return Objective(model, [(x, y)], lambda m, b: F.cross_entropy(m(b.x), b.y))


def test_worked_example():
    a, b = mlp(2, 3, 1, bias=False), mlp(2, 3, 1, bias=False)
    a[0].weight.data = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=F64)
    a[2].weight.data = torch.tensor([[1.0, 2, 3]], dtype=F64)
    b[0].weight.data = torch.tensor([[0, 0.9], [1.1, 1], [1, 0.1]], dtype=F64)
    b[2].weight.data = torch.tensor([[2.1, 2.9, 1]], dtype=F64)
    axes = neuron_axes(a, torch.randn(4, 2, dtype=F64))
    ((stream, tied),) = axes.free.items()
    named = [{n: p.detach() for n, p in m.named_parameters()} for m in (a, b)]
    likeness = _likeness(axes, *named, stream, tied, {stream: torch.arange(3)})
    expected = [[2.1, 4, 2], [5.1, 6.8, 2.1], [7.2, 10.8, 4.1]]
    torch.testing.assert_close(likeness, torch.tensor(expected, dtype=F64))
    found = WeightMatching().permutations(axes, *named)
    assert found[stream].tolist() == [2, 0, 1]
    value = sum(
        float((named[0][n] * permute(named[1][n], axes_of(axes, n), found)).sum()) for n in named[0]
    )
    assert value == pytest.approx(17.9)
    matched = WeightMatching().matched(
        Objective(a, [(torch.randn(4, 2, dtype=F64), torch.zeros(4, 1))],
                  lambda m, b: (m(b.x) - b.y).square().mean()), vector(b)
    )  # fmt: skip
    assert float((vector(a) - vector(b)).square().sum()) == pytest.approx(9.85)
    assert float((vector(a) - matched).square().sum()) == pytest.approx(0.05)


def shuffled(model, x, seed):
    """The same function with the neurons of every free stream permuted at random."""
    axes, twin = neuron_axes(model, x), copy.deepcopy(model)
    generator = seeded(seed)
    order = {s: torch.randperm(axes.sizes[s], generator=generator) for s in axes.free}
    state = {n: permute(t, axes_of(axes, n), order) for n, t in twin.state_dict().items()}
    twin.load_state_dict(state)
    return twin


@pytest.mark.parametrize("seed", range(5))
def test_planted_permutations_are_undone(seed):
    model, x = (
        mlp(8, 16, 16, 16, 4, seed=seed),
        torch.randn(6, 8, dtype=F64, generator=seeded(seed)),
    )
    other = shuffled(model, x, seed + 100)
    assert not torch.equal(vector(other), vector(model))
    torch.testing.assert_close(other(x), model(x), rtol=1e-12, atol=1e-12)
    found = WeightMatching().matched(objective_of(model, x), vector(other))
    assert torch.equal(found, vector(model))


class Residual(nn.Module):
    """Both shortcuts, batch norm, depthwise and grouped convolutions, flatten, LayerNorm."""

    def __init__(self, grouped=False):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.one = nn.Sequential(
            nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 1)
        )
        self.two = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.shortcut = nn.Conv2d(4, 8, 1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.mixed = nn.Conv2d(8, 8, 1, groups=2 if grouped else 1)
        self.hidden = nn.Linear(8 * 4, 10)
        self.norm = nn.LayerNorm(10)
        self.head = nn.Linear(10, 3)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.one(x)
        x = F.relu(self.two(x) + self.shortcut(x))
        x = F.max_pool2d(self.mixed(self.depthwise(x)), 2)
        return self.head(torch.relu(self.norm(self.hidden(x.flatten(1)))))


def residual(seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Residual(**options).double()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2.0)
                module.weight.data.normal_(1.0, 0.3)
    return model


IMAGES = torch.randn(5, 1, 4, 4, dtype=F64, generator=seeded(0))


def test_residual_network():
    """One permutation for the stream of a stage, blocks for flattened images."""
    model = residual().eval()
    axes = neuron_axes(model, IMAGES)
    assert sorted(axes.sizes[s] for s in axes.free) == [4, 6, 8, 8, 10]
    other = shuffled(model, IMAGES, 7).eval()
    torch.testing.assert_close(other(IMAGES), model(IMAGES), rtol=1e-13, atol=1e-13)
    found = WeightMatching().matched(objective_of(model, IMAGES), vector(other))
    assert torch.equal(found, vector(model))


def test_a_grouped_convolution_keeps_its_neurons():
    axes = neuron_axes(residual(grouped=True).eval(), IMAGES)
    assert any("grouped convolution" in why for why in axes.fixed.values())
    assert sorted(axes.sizes[s] for s in axes.free) == [4, 6, 10]


def test_matching_itself_is_the_identity():
    model = residual().eval()
    assert torch.equal(WeightMatching().matched(objective_of(model, IMAGES), vector(model)),
                       vector(model))  # fmt: skip


def test_the_gate_sees_another_function(monkeypatch):
    """A plan that forgets an axis changes the function, and is refused."""
    from landscape.measures.connection import weight_matching as module

    def forgetful(model, x):
        axes = neuron_axes(model, x)
        axes.tied = {axis for axis in axes.tied if axis.name != "2.weight"}
        return axes

    monkeypatch.setattr(module, "neuron_axes", forgetful)
    model = mlp(2, 4, 3)
    with pytest.raises(ValueError, match="is another function"):
        WeightMatching().matched(objective_of(model), vector(mlp(2, 4, 3, seed=1)))


def test_the_permuted_end_has_the_same_loss_and_eigenvalues():
    model, end, x = (
        mlp(2, 5, 5, 3),
        mlp(2, 5, 5, 3, seed=1),
        torch.randn(20, 2, dtype=F64, generator=seeded(0)),
    )
    y = torch.randint(3, (20,), generator=seeded(1))
    subject = objective_of(model, x, y)
    found = WeightMatching().matched(subject, vector(end))
    assert not torch.equal(found, vector(end))
    assert subject.value(found) == pytest.approx(subject.value(vector(end)), rel=1e-12)
    values = []
    for w in (found, vector(end)):
        torch.nn.utils.vector_to_parameters(w, model.parameters())
        values.append(Eigenvalues(k=2, tolerance=1e-8)(objective_of(model, x, y)).values)
    assert values[0] == pytest.approx(values[1], rel=1e-7)


def test_a_path_to_the_permuted_end():
    """Of a network to its own permutation: a barrier before, none after."""
    model, x = mlp(2, 8, 8, 3, seed=3), torch.randn(30, 2, dtype=F64, generator=seeded(0))
    for p in model.parameters():
        p.data *= 2
    y = model(x).argmax(1)
    other = shuffled(model, x, 5)
    record = Path(end=vector(other), size=5, match=True)(objective_of(model, x, y))
    assert record.matched
    assert record.barrier == pytest.approx(0, abs=1e-12)
    assert record.unmatched_barrier > 0.01
    assert record.length == 0 < record.unmatched_length


def test_the_best_of_the_orders_is_kept():
    """Never below what any smaller number of orders reaches, and above it for some networks."""
    x, values = torch.randn(4, 6, dtype=F64, generator=seeded(0)), []
    for seed in range(6):
        a, b = (mlp(6, 7, 7, 7, 3, seed=s) for s in (seed, seed + 50))
        axes = neuron_axes(a, x)
        named = [{n: p.detach() for n, p in m.named_parameters()} for m in (a, b)]
        for orders in (1, 4):
            found = WeightMatching(orders=orders).permutations(axes, *named)
            moved = {n: permute(t, axes_of(axes, n), found) for n, t in named[1].items()}
            values.append(sum(float((t * moved[n]).sum()) for n, t in named[0].items()))
    one, four = torch.tensor(values).reshape(6, 2).T
    assert bool((four >= one - 1e-12).all())
    assert bool((four > one + 1e-6).any())


def matches_to_the_same_function(subject, end):
    """The objective's own loss at the matched end, which differs from the end, is that of the end;
    frozen parameters stand where they are.
    """
    found = WeightMatching().matched(subject, end)
    assert not torch.equal(found, end)
    assert subject.value(found) == pytest.approx(subject.value(end), rel=1e-12)


@pytest.mark.parametrize("frozen", [True, False])
def test_neurons_of_parameters_that_do_not_move_stay(frozen):
    """By `requires_grad`, or by the objective's pattern."""
    a, b, x = (
        mlp(2, 6, 6, 3),
        mlp(2, 6, 6, 3, seed=1),
        torch.randn(9, 2, generator=seeded(0)).double(),
    )
    y = torch.randint(3, (9,), generator=seeded(1))
    end = 5 * torch.cat([p.detach().flatten() for n, p in b.named_parameters() if n[0] != "0"])
    a[0].requires_grad_(not frozen)
    subject = Objective(a, [(x, y)], lambda m, b: F.cross_entropy(m(b.x), b.y),
                        parameters="" if frozen else "2|4")  # fmt: skip
    matches_to_the_same_function(subject, end)


class Reused(nn.Module):
    """A hidden layer called twice, weights shared by two modules, or read by a function."""

    def __init__(self, how):
        super().__init__()
        self.first, self.free = nn.Linear(2, 6), nn.Linear(6, 5)
        self.one, self.other = nn.Linear(6, 6), nn.Linear(6, 6)
        self.head, self.how = nn.Linear(5, 3), how
        if how == "shared":
            self.other.weight = self.one.weight

    def forward(self, x):
        x = torch.relu(self.first(x))
        if self.how == "twice":
            x = torch.relu(self.one(torch.relu(self.one(x))))
        if self.how == "shared":
            x = torch.relu(self.other(torch.relu(self.one(x))))
        if self.how == "read":
            x = torch.relu(self.one(x)) @ self.one.weight
        x = F.dropout(torch.relu(self.free(x)), training=self.training)
        return self.head(x)


@pytest.mark.parametrize("how", ["twice", "shared", "read"])
def test_neurons_of_reused_weights_stay_and_others_move(how):
    """A stream on both axes of a weight is no assignment problem: the ascent need not end."""
    models = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            models.append(Reused(how).double())
    a, b = models
    matches_to_the_same_function(objective_of(a), vector(b))
    axes = neuron_axes(a.eval(), torch.randn(4, 2, dtype=F64))
    assert 5 in [axes.sizes[s] for s in axes.free]


def test_refusals():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 3).double()

        def forward(self, x):
            return self.layer(x) if x.sum() > 0 else self.layer(2 * x)

    with pytest.raises(ValueError, match="cannot be traced symbolically"):
        WeightMatching().matched(objective_of(Loop()), torch.zeros(9, dtype=F64))
    with pytest.raises(ValueError, match="No neurons of this network can change places"):
        WeightMatching().matched(objective_of(mlp(2, 3)), torch.zeros(9, dtype=F64))
    with pytest.raises(ValueError, match="`orders` must be at least 1"):
        WeightMatching(orders=0)
