"""Losses that bypass the weights of the model, or write into them, or are no mean."""

import copy
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.network.batch import Batch
from landscape.objective.objective import Objective

FLOAT64 = torch.float64


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def linear():
    torch.manual_seed(0)
    return nn.Linear(5, 3).double()


def data(sizes=(18, 12), dtype=FLOAT64):
    g = torch.Generator().manual_seed(1)
    return [
        Batch(torch.randn(n, 5, generator=g).to(dtype), torch.randint(0, 3, (n,), generator=g))
        for n in sizes
    ]


def dense_hessian(loss, tensors):
    """Of a function of a list of tensors, by torch alone."""
    sizes = [t.numel() for t in tensors]

    def flat(w):
        parts = w.split(sizes)
        return loss([p.view(t.shape) for p, t in zip(parts, tensors, strict=True)])

    return torch.autograd.functional.hessian(
        flat, torch.cat([t.detach().flatten() for t in tensors])
    )


def naive(tensors, penalty=0.0):
    """Cross-entropy of a linear layer over all of `data`, and a penalty on its weights."""
    x, y = (torch.cat([getattr(b, name) for b in data()]) for name in ("x", "y"))
    return F.cross_entropy(x @ tensors[0].T + tensors[1], y) + penalty * sum(
        t.square().sum() for t in tensors
    )


def hessian(objective):
    return objective.hvp(torch.eye(objective.weights.n, dtype=FLOAT64))


# --- parameters from outside of the model


def captured(model):
    inside = dict(model.named_parameters())
    return lambda m, b: F.cross_entropy(torch.func.functional_call(m, inside, (b.x,)), b.y)


def penalty_outside(model):
    held = list(model.parameters())
    return lambda m, b: cross_entropy(m, b) + 0.5 * sum(p.square().sum() for p in held)


def penalty_detached(model):
    held = [p.detach() for p in model.parameters()]
    return lambda m, b: cross_entropy(m, b) + 0.5 * sum(p.square().sum() for p in held)


def under_no_grad(model):
    weight = model.weight

    def loss(m, b):
        with torch.no_grad():
            scale = weight.norm()
        return cross_entropy(m, b) * scale

    return loss


def transposed_once(model):
    columns = model.weight.t()
    return lambda m, b: F.cross_entropy(b.x @ columns + m.bias, b.y)


BYPASSES = [captured, penalty_outside, penalty_detached, under_no_grad, transposed_once]


@pytest.mark.parametrize("bypass", BYPASSES)
def test_parameters_taken_outside_of_the_model_are_refused(bypass):
    model = linear()
    with pytest.raises(ValueError, match=r"taken outside of it: .*'weight'.*model.parameters\(\)"):
        Objective(model, data(), bypass(model))


@pytest.mark.parametrize("keep", [lambda w: w, lambda w: w.data, lambda w: [w]])
def test_weights_kept_in_attributes_are_refused(keep):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear()
            self.__dict__["kept"] = keep(self.inner.weight)

        def forward(self, x):
            return x @ (self.kept[0] if isinstance(self.kept, list) else self.kept).T

    with pytest.raises(ValueError, match=r"taken outside of it: 'inner.weight'"):
        Objective(Net(), data(), cross_entropy)


def ema(model):
    teacher = copy.deepcopy(model)

    def loss(m, b):
        with torch.no_grad():
            target = teacher(b.x).softmax(1)
        return cross_entropy(m, b) + F.mse_loss(m(b.x).softmax(1), target)

    return loss


def anchored(model):
    start = [p.detach().clone() for p in model.parameters()]

    def loss(m, b):
        pull = sum((p - q).square().sum() for p, q in zip(m.parameters(), start, strict=True))
        return cross_entropy(m, b) + pull

    return loss


def only_shapes(model):
    held = list(model.parameters())
    return lambda m, b: cross_entropy(m, b) + sum(torch.zeros_like(p).sum() for p in held)


@pytest.mark.parametrize("legitimate", [ema, anchored, only_shapes])
def test_constants_and_the_model_under_no_grad_are_no_bypass(legitimate):
    model = linear()
    objective = Objective(model, data(), legitimate(model))
    assert objective.value() > 0 and objective.grad().any()


def test_a_frozen_parameter_may_be_captured():
    model = nn.Sequential(linear(), nn.Linear(3, 3).double())
    frozen = model[1].weight.requires_grad_(False)
    objective = Objective(
        model, data(), lambda m, b: cross_entropy(m, b) + frozen.square().sum() * m[0].bias.sum()
    )
    assert objective.grad().any()


def test_tied_and_parametrized_weights_are_no_bypass():
    tied = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5)).double()
    tied[2].weight = tied[0].weight
    normed = nn.utils.parametrizations.weight_norm(linear())
    for model in (tied, normed):
        assert Objective(model, data(), cross_entropy).grad().any()


def test_a_penalty_on_the_given_model_is_in_the_hessian():
    model = linear()
    objective = Objective(
        model,
        data(),
        lambda m, b: cross_entropy(m, b) + 0.5 * sum(p.square().sum() for p in m.parameters()),
    )
    expected = dense_hessian(lambda t: naive(t, 0.5), list(model.parameters()))
    torch.testing.assert_close(hessian(objective), expected)


# --- a graph that does not reach w


def test_a_loss_of_a_copy_is_refused():
    other = linear()
    with pytest.raises(ValueError, match="does not depend on the model's weights"):
        Objective(linear(), data(), lambda _, b: cross_entropy(other, b))


@pytest.mark.parametrize(
    "cut",
    [
        lambda m, b: cross_entropy(m, b).detach(),
        lambda m, b: (m(b.x).argmax(1) != b.y).double().mean(),
        lambda m, b: torch.tensor(cross_entropy(m, b).item()),
    ],
)
def test_a_loss_without_a_graph_has_values_and_no_derivatives(cut):
    objective = Objective(linear(), data(), cut)
    assert objective.value() > 0 and objective.value_and_accuracy()[1] <= 1
    there = torch.linspace(-2, 2, 18, dtype=FLOAT64)
    assert objective.value() != objective.value(there)
    for ask in (objective.grad, lambda: objective.hvp(objective.w)):
        with pytest.raises(ValueError, match="The loss has no gradient: its graph does not reach"):
            ask()


def test_a_first_batch_that_uses_no_weight_is_no_reason():
    def loss(m, b):
        return cross_entropy(m, b) if b.size > 12 else torch.ones((), dtype=FLOAT64)

    objective = Objective(linear(), data((12, 18)), loss)
    assert objective.grad().any()


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("inside", [False, True])
def test_derivatives_where_the_caller_has_switched_gradients_off(off, inside):
    model = linear()
    expected = dense_hessian(naive, list(model.parameters()))
    objective = None if inside else Objective(model, data(), cross_entropy)
    with off():
        if inside:
            objective = Objective(model, data(), cross_entropy)
        eye = torch.eye(objective.weights.n, dtype=FLOAT64)
        found = torch.stack([objective.hvp(e, objective.w + 0) for e in eye])
        gradient = objective.grad(objective.w + 0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, objective.grad())
    assert gradient.any()


# --- one function


class Attention(nn.Module):
    """Its inference path leaves padded positions at 0, which the mean over positions sees."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encoder(x["v"], src_key_padding_mask=x["pad"]).mean(1))


@pytest.mark.filterwarnings("ignore:.*nested tensors is in prototype")
def test_values_are_of_the_function_whose_gradient_is_taken():
    torch.manual_seed(0)
    model, pad = Attention().eval(), torch.zeros(6, 4, dtype=torch.bool)
    pad[:, 3] = True
    batch = Batch({"v": torch.randn(6, 4, 8), "pad": pad}, torch.randint(0, 3, (6,)))
    with_graph = cross_entropy(model, batch).item()
    with torch.no_grad():
        assert abs(cross_entropy(model, batch).item() - with_graph) > 1e-4
    objective = Objective(model, [batch], cross_entropy)
    assert objective.value() == pytest.approx(with_graph, rel=1e-6)
    assert objective.value_and_accuracy()[0] == pytest.approx(with_graph, rel=1e-6)
    assert objective.evaluate([objective.w])[0][0] == pytest.approx(with_graph, rel=1e-5)
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_model_that_asks_whether_gradients_are_on_is_one_function():
    def loss(m, b):
        return cross_entropy(m, b) * (2 if torch.is_grad_enabled() else 1)

    objective = Objective(linear(), data(), loss)
    twice = 2 * naive(list(linear().parameters())).item()
    assert objective.value() == pytest.approx(twice, rel=1e-12)
    assert objective.evaluate([objective.w])[0][0] == pytest.approx(twice, rel=1e-12)


def test_a_model_that_is_another_one_with_a_graph_has_no_derivatives():
    objective = Objective(
        linear(), data(), lambda m, b: cross_entropy(m, b) * (2 if m.weight.requires_grad else 1)
    )
    with pytest.raises(ValueError, match="values and derivatives would be of two functions"):
        objective.grad()


def test_gradients_inside_the_loss():
    """A physics-informed loss (u' - x)², in value, gradient and Hessian."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x = torch.linspace(0, 1, 9, dtype=FLOAT64)[:, None]

    def physics(m, b):
        x = b.x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(m(x).sum(), x, create_graph=True)
        return (slope - b.x).square().mean()

    def closed(p):
        h = torch.tanh(x @ p[0].T + p[1])
        return (((1 - h**2) * p[0].T) @ p[2].T - x).square().mean()

    objective = Objective(net, [(x, x)], physics)
    parameters = list(net.parameters())
    value = closed(parameters).item()
    assert objective.value() == pytest.approx(value, rel=1e-12)
    assert objective.evaluate([objective.w])[0][0] == pytest.approx(value, rel=1e-12)
    torch.testing.assert_close(hessian(objective), dense_hessian(closed, parameters))


def test_inputs_that_require_gradients():
    x = torch.linspace(0, 1, 9, dtype=FLOAT64)[:, None].requires_grad_()
    net = nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 1)).double()

    def physics(m, b):
        (slope,) = torch.autograd.grad(m(b.x).sum(), b.x, create_graph=True)
        return slope.square().mean()

    (slope,) = torch.autograd.grad(net(x).sum(), x)
    objective = Objective(net, [(x, x)], physics)
    assert objective.value() == pytest.approx(slope.square().mean().item(), rel=1e-12)
    assert objective.grad().any()


def test_autocast_inside_the_loss_changes_nothing():
    model = linear().float()

    def mixed(m, b):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return F.cross_entropy(m(b.x), b.y)

    mixed_, plain = (Objective(model, data(dtype=torch.float32), f) for f in (mixed, cross_entropy))
    assert mixed_.value() == plain.value()
    assert torch.equal(mixed_.grad(), plain.grad())
    assert mixed_.evaluate([plain.w]) == plain.evaluate([plain.w])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.ones(1, 5)).dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler itself
@pytest.mark.slow  # loading the compiler takes seconds
def test_a_compiled_model_is_measured_as_it_was_written():
    model = linear()
    compiled = Objective(torch.compile(model), data(), cross_entropy)
    expected = dense_hessian(naive, list(model.parameters()))
    torch.testing.assert_close(hessian(compiled), expected)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(value):
    model = linear()
    with torch.no_grad():
        model.bias[1] = value
    with pytest.raises(ValueError, match=r"must be finite\. Got NaN or infinity in 'bias'"):
        Objective(model, data(), cross_entropy)


# --- a model that writes


def test_an_embedding_that_renormalises_leaves_vectors_alone_and_has_no_derivatives():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 4, max_norm=0.5), nn.Flatten(), nn.Linear(20, 3))
    batch = Batch(torch.randint(0, 9, (4, 5)), torch.randint(0, 3, (4,)))
    objective = Objective(model, [batch], cross_entropy)
    point, w = 3 * objective.w, objective.w
    before = point.clone()
    value = objective.value(point)
    assert objective.value_and_accuracy(point)[0] == pytest.approx(value)
    assert objective.evaluate([point])[0][0] == pytest.approx(value)
    assert torch.equal(point, before) and torch.equal(objective.w, w)
    for ask in (objective.grad, lambda: objective.hvp(w)):
        with pytest.raises(ValueError, match=r"changes its own weights in a pass"):
            ask()


def test_a_clamp_of_the_weights_has_no_derivatives():
    class Clamped(nn.Linear):
        def forward(self, x):
            self.weight.data.clamp_(-0.1, 0.1)
            return super().forward(x)

    objective = Objective(Clamped(5, 3).double(), data(), cross_entropy)
    assert objective.value() > 0
    with pytest.raises(ValueError, match=r"changes its own weights in a pass"):
        objective.grad()


@pytest.mark.parametrize(
    "write", [lambda b: b.x.add_(1.0), lambda b: F.relu(b.x, inplace=True), lambda b: b.y.fill_(0)]
)
def test_every_pass_sees_the_same_data(write):
    def loss(m, b):
        write(b)
        return cross_entropy(m, b)

    model, given = linear(), data()
    expected = 0.0
    for batch in data():
        write(batch)
        expected += batch.size / 30 * cross_entropy(model, batch).item()
    before = [(b.x.clone(), b.y.clone()) for b in given]
    objective = Objective(model, given, loss)
    fingerprint = Objective(model, data(), cross_entropy).fingerprint
    for _ in range(2):
        assert objective.value() == pytest.approx(expected, rel=1e-12)
        assert objective.evaluate([objective.w])[0][0] == pytest.approx(expected, rel=1e-12)
        objective.grad(), objective.hvp(objective.w)
    assert objective.fingerprint == fingerprint
    for b, (x, y) in zip(given, before, strict=True):
        assert torch.equal(b.x, x) and torch.equal(b.y, y)


# --- a sum for a mean


def summed(model, batch):
    return F.cross_entropy(model(batch.x), batch.y, reduction="sum")


@pytest.mark.parametrize("sizes", [(18, 12), (1, 5)])
@pytest.mark.parametrize("penalty", [0, 0.01])
def test_a_sum_over_uneven_batches_is_refused(sizes, penalty):
    def penalised(m, b):
        return summed(m, b) + penalty * m.weight.square().sum()

    with pytest.raises(ValueError, match="is a sum over examples, and the batches differ in size"):
        Objective(linear(), data(sizes), penalised)


def test_a_sum_over_equal_batches_is_warned_of():
    with pytest.warns(UserWarning, match="all numbers grow with the batch size"):
        Objective(linear(), data((10, 10)), summed)


@pytest.mark.parametrize(
    ("batches", "loss"),
    [
        (data((30,)), summed),
        ([Batch(b.x, b.y, weight=1.0) for b in data()], summed),
        (data(), cross_entropy),
        (data(), lambda m, b: cross_entropy(m, b) * 0 + m.bias.sum() * 0),
        (data(), lambda m, b: cross_entropy(m, b) + m.weight.square().sum()),
    ],
)
def test_means_and_weighted_sums_pass(batches, loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Objective(linear(), batches, loss)
