"""Curvature operators against dense Hessians and J by `torch.func`, and what they refuse."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from landscape import Batch, Objective
from landscape.measures.curvature.operator import operator
from landscape.objective import first_pass

FLOAT64 = torch.float64


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def mse(model, batch):
    return F.mse_loss(model(batch.x), F.one_hot(batch.y, 3).double())


class PerStep(nn.Module):
    """(batch, steps, 6) -> logits of each step."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.mix(x)).cumsum(1))


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 5)
        self.classes = nn.Linear(5, 3)
        self.number = nn.Linear(5, 1)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return {"logits": self.classes(h), "rest": [self.number(h), len(x)]}


def sequence_loss(model, batch):
    return F.cross_entropy(model(batch.x[:, None] * torch.ones(2, 1)).flatten(0, 1), _twice(batch))


def _twice(batch):
    return batch.y.repeat_interleave(2)


def two_losses(model, batch):
    z = model(batch.x)
    fit = F.cross_entropy(z["logits"], batch.y)
    return fit + (z["rest"][0] * z["logits"][:, :1]).square().mean() / z["rest"][1]


MODELS = {
    "mse": (lambda: nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)), mse),
    "cross-entropy": (
        lambda: nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 3)),
        cross_entropy,
    ),
    "sequence": (PerStep, sequence_loss),
    "dict": (TwoHeads, two_losses),
}


@pytest.fixture
def case(data):
    def make(name, **options):
        torch.manual_seed(0)
        model, loss = MODELS[name][0]().double(), MODELS[name][1]
        return Objective(model, data(), loss, **options)

    return make


def dense(op):
    return torch.stack([op.matvec(e) for e in torch.eye(op.n, dtype=op.like.dtype)], 1)


def flat_outputs(objective, batch, w):
    """z of a batch as one vector, and how to give the loss that vector instead."""
    found = []
    handle = objective.model.register_forward_hook(lambda _m, _x, z: found.append(z))
    try:
        with objective.weights.substituted(w):
            objective.loss(objective.model, batch)
    finally:
        handle.remove()
    (z,) = found
    tensors = [z["logits"], z["rest"][0]] if isinstance(z, dict) else [z]
    return torch.cat([t.flatten() for t in tensors])


def loss_at(objective, batch, flat):
    def answer(_m, _x, z):
        if isinstance(z, dict):
            logits, number = flat.split([z["logits"].numel(), z["rest"][0].numel()])
            rest = [number.view_as(z["rest"][0]), z["rest"][1]]
            return {"logits": logits.view_as(z["logits"]), "rest": rest}
        return flat.view_as(z)

    handle = objective.model.register_forward_hook(answer)
    try:
        return objective.loss(objective.model, batch)
    finally:
        handle.remove()


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("memory", [0, 2**30])
def test_gauss_newton_is_its_formula(case, name, memory):
    """G = Σ_b share_b Jᵀ H_z J, each factor by reverse mode, row by row."""
    subject = case(name, memory=memory)
    expected = 0
    for batch, share in zip(subject.batches, subject.shares, strict=True):
        z = flat_outputs(subject, batch, subject.w)
        jacobian = torch.autograd.functional.jacobian(
            lambda w, batch=batch: flat_outputs(subject, batch, w), subject.w
        )
        inner = torch.autograd.functional.hessian(
            lambda flat, batch=batch: loss_at(subject, batch, flat), z
        )
        expected = expected + share * jacobian.T @ inner @ jacobian
    made = operator(subject, "gauss-newton")
    torch.testing.assert_close(dense(made), expected, rtol=1e-10, atol=1e-12)
    assert made.graphs == ("kept" if memory else "rebuilt")


@pytest.mark.parametrize("name", ["mse", "cross-entropy"])
def test_gauss_newton_is_positive_semi_definite(case, name):
    g = dense(operator(case(name), "gauss-newton"))
    assert torch.linalg.eigvalsh(g).min() > -1e-12
    assert torch.linalg.eigvalsh(dense(operator(case(name)))).min() < -1e-4


@pytest.mark.parametrize("loss", [mse, cross_entropy])
def test_gauss_newton_of_a_linear_model_is_the_hessian(data, loss):
    subject = Objective(nn.Linear(6, 3).double(), data(), loss)
    torch.testing.assert_close(dense(operator(subject, "gauss-newton")), dense(operator(subject)))


@pytest.mark.parametrize("policy", ["stored", "batch", "reestimated"])
def test_gauss_newton_under_each_batch_norm_policy(objective, dense_hessian, policy):
    """Of a model that is linear behind its loss: the residual part is the model's own curvature."""
    subject = objective("conv", batch_norm=policy)
    made = operator(subject, "gauss-newton")
    g, h = dense(made), dense_hessian(subject)
    head = slice(-27, None)  # the logits are linear in the head
    torch.testing.assert_close(g[head, head], h[head, head])
    torch.testing.assert_close(g, g.T)
    assert torch.linalg.eigvalsh(g).min() > -1e-12


@pytest.mark.thinned(2)
@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize(
    ("name", "layer", "parameters"),
    [
        ("mlp", "0", ["0.weight", "0.bias"]),
        ("mlp", "2", ["2.weight", "2.bias"]),
        ("layer_norm", "1", ["1.weight", "1.bias"]),
        ("tied", "second", ["first.weight", "second.bias"]),
        ("tied", "", ["first.weight", "first.bias", "second.bias", "head.weight", "head.bias"]),
        ("conv", "0", ["0.weight", "0.bias"]),
    ],
)
def test_a_layer_is_its_diagonal_block(objective, curvature, name, layer, parameters):
    subject = objective(name)
    whole, block = operator(subject, curvature), operator(subject, curvature, layer)
    index = torch.cat([torch.arange(subject.weights.n)[subject.layers[p]] for p in parameters])
    torch.testing.assert_close(dense(block), dense(whole)[index][:, index], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
def test_unused_and_frozen_parameters(net, data, curvature):
    model = net("mlp")
    model.register_module("idle", nn.Linear(2, 2).double())
    model[0].requires_grad_(False)
    loss = lambda m, b: F.cross_entropy(m[:3](b.x) if curvature == "hessian" else m(b.x), b.y)  # noqa: E731
    model.forward = lambda x: model[2](model[1](model[0](x)))
    subject = Objective(model, data(), loss)
    matrix = dense(operator(subject, curvature))
    assert matrix.shape == (24, 24)
    assert not matrix[18:].any()
    torch.testing.assert_close(matrix[:18, :18], dense(operator(subject, curvature, "2")))
    assert not dense(operator(subject, curvature, "idle")).any()


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTM(4, 3, num_layers=2, dropout=0.3, batch_first=True),
        lambda: nn.GRU(4, 3, bidirectional=True, batch_first=True),
        lambda: nn.TransformerEncoderLayer(4, 2, 5, batch_first=True),
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
    ],
)
@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fused_layers(make, curvature, dtype):
    """Products against differences of the gradient, and of the output."""
    torch.manual_seed(0)
    layer = make().to(dtype)
    x = torch.randn(5, 3, 4, dtype=dtype)

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            z = layer(x, x, x) if isinstance(layer, nn.MultiheadAttention) else layer(x)
            return z[0] if isinstance(z, tuple) else z

    subject = Objective(Wrapped(), [(x, x.new_zeros(5))], lambda m, b: m(b.x).exp().mean())
    made = operator(subject, curvature)
    assert made.products == "double backward"
    v = torch.randn(made.n, dtype=dtype)
    again = _by_differences(subject, curvature)
    tolerance = 2e-2 if dtype == torch.float32 else 1e-6
    product = made.matvec(v)
    assert (product - again(v, subject.w)).norm() <= tolerance * product.norm()


def _by_differences(subject, curvature):
    from landscape.measures.curvature.gauss_newton import of_the_output
    from landscape.objective.finite_differences import Differences, of_the_gradient

    block = operator(subject, curvature).block
    hessian = curvature == "hessian"
    formula = of_the_gradient(subject.grad, block) if hessian else of_the_output(subject, block)
    torch.manual_seed(1)
    probe = torch.randn(block.n, dtype=subject.w.dtype)
    return Differences(formula, block, probe, subject.w)


class Once(torch.autograd.Function):
    """tanh that refuses, or seems to allow, a second derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g * (1 - ctx.saved_tensors[0].tanh() ** 2)


class Numpy(Once):
    """Leaves torch in its backward, so that double backward drops a term without an error."""

    @staticmethod
    def backward(ctx, g):
        x = ctx.saved_tensors[0].detach().numpy()
        return torch.from_numpy(g.detach().numpy() * (1 - np.tanh(x) ** 2))


class Right(Once):
    @staticmethod
    def backward(ctx, g):
        return g * (1 - ctx.saved_tensors[0].tanh() ** 2)


class Applied(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("function", [Once, Numpy])
@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("layer", [None, "0"])
@pytest.mark.parametrize("policy", ["stored", "reestimated"])
def test_differences_stand_in(net, data, function, curvature, layer, policy):
    plain = net("mlp")
    broken = nn.Sequential(plain[0], Applied(function.apply), plain[2])
    exact = operator(Objective(plain, data(), cross_entropy), curvature, layer)
    subject = Objective(broken, data(), cross_entropy, batch_norm=policy)
    made = operator(subject, curvature, layer)
    assert (made.products, made.graphs) == ("finite differences", "none")
    assert 0 < made.error < 1e-6
    wanted = dense(exact)
    assert (dense(made) - wanted).norm() <= 5 * made.error * wanted.norm()
    v = torch.ones(made.n, dtype=FLOAT64)
    assert 0 < made.doubt(v) < 1e-6
    assert not made.matvec(0 * v).any()


def test_a_right_custom_function_is_differentiated_twice(net, data):
    plain = net("mlp")
    custom = nn.Sequential(plain[0], Applied(Right.apply), plain[2])
    made = operator(Objective(custom, data(), cross_entropy))
    assert (made.products, made.error) == ("double backward", 0.0)
    assert made.doubt(torch.ones(made.n, dtype=FLOAT64)) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model(net, data):
    plain = net("mlp")
    compiled = torch.compile(net("mlp"), backend="aot_eager")
    made = operator(Objective(compiled, data(), cross_entropy))
    assert made.products == "double backward"  # passes run the model eagerly
    expected = dense(operator(Objective(plain, data(), cross_entropy)))
    torch.testing.assert_close(dense(made), expected, rtol=1e-6, atol=1e-7)


def test_other_errors_are_not_swallowed(net, data):
    failing = []

    def loss(model, batch):
        if failing:
            raise RuntimeError("out of memory")
        return cross_entropy(model, batch)

    objective = Objective(net("mlp"), data(sizes=(4,)), loss)
    failing.append(True)
    with pytest.raises(RuntimeError, match="out of memory"):
        operator(objective)


def test_wrong_gradients_are_refused(bare_objective, monkeypatch):
    """A field with curl is nobody's gradient: its derivative is not symmetric."""

    class Curl(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w):
            ctx.save_for_backward(w)
            return (w**2).sum()

        @staticmethod
        def backward(ctx, g):
            (w,) = ctx.saved_tensors
            return g * (2 * w + torch.stack([w[1], -w[0], w.new_zeros(())]))

    monkeypatch.setattr(first_pass, "reason_against", lambda *_: "")  # which sees it, too
    with pytest.raises(ValueError, match=r"not symmetric.*float64"):
        operator(bare_objective([1.0, 2.0, 3.0], Curl.apply))


def test_gradients_that_change_are_refused(bare_objective, monkeypatch):
    calls = []

    def drifting(w):
        calls.append(1)
        return (w**2).sum() + len(calls) * (w - w.detach()).sum()

    monkeypatch.setattr(first_pass, "reason_against", lambda *_: "")  # which sees it, too
    with pytest.raises(ValueError, match="Two gradients at the same point differ by 1"):
        operator(bare_objective([1.0, 0.0], drifting))


def penalised(model, batch):
    return cross_entropy(model, batch) + sum(p.square().sum() for p in model.parameters())


def around_the_output(model, batch):
    return cross_entropy(model, batch) + model[0](batch.x).square().mean()


def on_its_own_output(model, batch):
    z = model(batch.x)
    return F.cross_entropy(model(torch.cat([z, z], 1)), batch.y)


def linear(model, batch):
    return model(batch.x).mean()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (penalised, "only through the model's output"),
        (around_the_output, "only through the model's output"),
        (lambda m, b: F.cross_entropy(m[2](m[1](m[0](b.x))), b.y), "only through the model's"),
        (on_its_own_output, "not called on its own output"),
        (linear, "linear in the model's output.*compute its own loss"),
    ],
)
def test_gauss_newton_is_refused_where_it_is_not_defined(net, data, loss, message):
    subject = Objective(net("mlp"), data(), loss)
    with pytest.raises(ValueError, match=message):
        operator(subject, "gauss-newton")
    assert not subject.model._forward_hooks


def test_names_and_shapes(objective):
    subject = objective("tied")
    with pytest.raises(ValueError, match="`curvature` must be one of hessian, gauss-newton, f"):
        operator(subject, "kfac")
    with pytest.raises(ValueError, match=r"Unknown layer 'frist'. Did you mean 'first'\?"):
        operator(subject, layer="frist")
    with pytest.raises(ValueError, match="'1' has none; these have: 0, 2"):
        operator(objective("mlp"), layer="1")
    with pytest.raises(ValueError, match=r"`v` must have shape \(21,\). Got \(66,\)"):
        operator(subject, layer="head").matvec(subject.w[:66])


def test_products_are_counted_and_timed(objective, monkeypatch):
    subject = objective()
    made = operator(subject)
    assert made.count == 2
    made.matvec(subject.w)
    made.product(subject.w, 2 * subject.w)
    assert made.count == 4
    assert made.cost > 0


def test_a_model_called_twice(data):
    """Two views of an example, one pair of outputs: z is both."""

    class Pairs(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x), self.inner(x.flip(1))

    def apart(a, b, y):
        return ((a - b).square().sum(1) - y).square().mean()

    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    one = Objective(Pairs(inner), data(), lambda m, b: apart(*m(b.x), b.y))
    two = Objective(inner, data(), lambda m, b: apart(m(b.x), m(b.x.flip(1)), b.y))
    torch.testing.assert_close(
        dense(operator(one, "gauss-newton")), dense(operator(two, "gauss-newton"))
    )


def test_batches_are_weighted_by_examples(net):
    """The same examples in one batch, or in two of unequal size."""
    x, y = torch.randn(9, 6, dtype=FLOAT64), torch.arange(9) % 3
    parts = [Batch(x[:7], y[:7]), Batch(x[7:], y[7:])]
    for curvature in ("hessian", "gauss-newton"):
        one, two = (
            dense(operator(Objective(net("mlp"), batches, cross_entropy), curvature))
            for batches in ([Batch(x, y)], parts)
        )
        torch.testing.assert_close(one, two)
