"""Relative flatness of convolutions, sequences, tied and repeated layers, and by random signs."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import RelativeFlatness
from landscape.measures.flatness import random_signs
from landscape.measures.flatness.layer import deviations, find
from landscape.measures.flatness.random_signs import SIGNS, directions
from landscape.measures.relative_flatness import CLOSED, EXACT


def cross_entropy(model, batch):
    z = model(batch.x)
    return F.cross_entropy(z, batch.y if z.dim() == 2 else batch.y[:, None].expand(-1, z.shape[2]))


def penalised(model, batch):
    return cross_entropy(model, batch) + 1e-6 * model.first.weight.square().sum()


class Tokens(nn.Module):
    """Three tokens, a linear layer on each, attention between them."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(2, 4), nn.Linear(4, 3)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        h = self.first(x.unflatten(1, (3, 2)))
        return self.head(h + self.attention(h, h, h)[0]).mean(1)


class Tied(nn.Module):
    """One weight at both ends, as in language models."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(6, 3), nn.Linear(6, 3, bias=False)
        self.head.weight = self.first.weight

    def forward(self, x):
        return self.head(F.linear(self.first(x).tanh(), self.first.weight.T))


class Repeated(nn.Module):
    """A layer that is called at each of three steps."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(4, 2), nn.Linear(2, 3)

    def forward(self, x):
        h = x.new_zeros(len(x), 2)
        for step in x.unflatten(1, (3, 2)).unbind(1):
            h = torch.tanh(self.first(torch.cat([step, h], 1)))
        return self.head(h)


class Around(nn.Module):
    """A layer whose weight is also used without calling it."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(6, 2), nn.Linear(2, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.first(x) + F.linear(x, self.first.weight) ** 2))


class Standardised(nn.Linear):
    """Not linear in its weight, under the name of a linear layer."""

    def forward(self, x):
        return F.linear(x, self.weight / self.weight.norm(), self.bias)


class Mixing(nn.Module):
    """Linear, then batch norm: with batch statistics the examples see each other."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(6, 2), nn.BatchNorm1d(2)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.norm(self.first(x))))


def chain(shape, first, *rest):
    """`first` on inputs of this shape, tanh, a head on all that comes out."""
    body = nn.Sequential(nn.Unflatten(1, shape))
    body.add_module("first", first)
    body.extend([nn.Tanh(), *rest])
    size = body(torch.zeros(1, 6)).numel()
    return body.extend([nn.Flatten(), nn.Linear(size, 3)])


def pixels():
    """A class for each of three positions."""
    net = nn.Sequential(nn.Unflatten(1, (2, 3)))
    net.add_module("first", nn.Conv1d(2, 4, 3, padding=1))
    net.extend([nn.Tanh()])
    net.add_module("head", nn.Conv1d(4, 3, 1))
    return net


class Mapped(nn.Module):
    """Two layers that see one example at a time, inside of torch.func.vmap."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x):
        return torch.func.vmap(lambda row: self.head(self.first(row).tanh()))(x)


NETS = {
    "conv1d": lambda: chain((1, 6), nn.Conv1d(1, 2, 3, stride=2, padding=1)),
    "dilated": lambda: chain((2, 3), nn.Conv1d(2, 3, 2, dilation=2, bias=False)),
    "circular": lambda: chain((2, 3), nn.Conv1d(2, 2, 3, padding=2, padding_mode="circular")),
    "conv2d": lambda: chain((1, 2, 3), nn.Conv2d(1, 2, (2, 1), padding=(0, 1))),
    "same": lambda: chain((1, 2, 3), nn.Conv2d(1, 2, 3, padding="same"), nn.AvgPool2d(2)),
    "conv3d": lambda: chain((1, 1, 2, 3), nn.Conv3d(1, 2, (1, 2, 2))),
    "pixels": pixels,
    "tokens": Tokens,
    "tied": Tied,
    "repeated": Repeated,
    "around": Around,
    "standardised": lambda: chain((6,), Standardised(6, 2)),
    "transposed": lambda: chain((2, 3), nn.ConvTranspose1d(2, 3, 2, stride=2)),
    "mixing": Mixing,
    "mapped": Mapped,
    "mixed positions": lambda: chain((2, 3), nn.Conv1d(2, 1, 2), nn.BatchNorm1d(1), nn.Tanh()),
}


@pytest.fixture
def subject(data):
    """A network of this file with its objective."""

    def make(name, loss=cross_entropy, **options):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = NETS[name]().double()
            for p in model.parameters():
                p.data += 0.5 * torch.randn_like(p)
        return Objective(model, data(), loss, **options)

    return make


@pytest.mark.parametrize(
    ("name", "layer", "estimator"),
    [
        *[(name, "first", EXACT) for name in list(NETS)[:6]],
        ("pixels", "head", CLOSED),
        ("pixels", "first", EXACT),
        ("tokens", "first", EXACT),
        ("tokens", "head", EXACT),
        ("mixing", "first", EXACT),
    ],
)
def test_exact_ways_equal_the_definition(subject, flatness_by_definition, name, layer, estimator):
    """F1 on patches and on tokens, to 1e-10."""
    objective = subject(name)
    record = RelativeFlatness(layer)(objective)
    expected = flatness_by_definition(objective, layer)
    np.testing.assert_allclose([record.value, record.simplified], expected, rtol=1e-10)
    assert record.estimator == estimator
    assert record.stderr == record.simplified_stderr == 0
    assert record.hvps > 0


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tied", {}),
        ("repeated", {}),
        ("around", {}),
        ("standardised", {}),
        ("mapped", {}),
        ("transposed", {}),
        ("mixing", {"batch_norm": "batch"}),
        ("mixing", {"batch_norm": "reestimated"}),
        ("mixing", {"loss": penalised}),
        ("mixed positions", {"batch_norm": "batch"}),
    ],
)
def test_other_layers_by_signs(subject, flatness_by_definition, name, options):
    """F9: κ and κ̂ within four of their own standard errors."""
    objective = subject(name, **options)
    record = RelativeFlatness("first", draws=60)(objective)
    kappa, kappa_hat = flatness_by_definition(objective, "first")
    assert record.estimator == SIGNS
    assert 0 < abs(record.value - kappa) < 4 * record.stderr
    assert 0 < abs(record.simplified - kappa_hat) < 4 * record.simplified_stderr
    assert record.hvps == 2 + 2 * 60


def test_features_inside_of_vmap_cannot_be_normalised(subject):
    with pytest.raises(ValueError, match=r"'first'.* inside of torch\.func\.vmap.* outside"):
        RelativeFlatness("first", normalize_features=True)(subject("mapped"))


def test_a_tied_layer_by_either_of_its_names(subject):
    """Parameters that are tied stand in w once, under the first name."""
    found = [RelativeFlatness(name, draws=5)(subject("tied")) for name in ("first", "head")]
    assert found[0].value == found[1].value
    assert [record.layer for record in found] == ["first", "head"]


@pytest.mark.parametrize(("name", "products"), [("conv1d", 6), ("pixels", 4), ("mixing", 2)])
def test_signs_where_an_exact_way_would_cost_more(subject, name, products):
    """Outputs times positions where these see each other, else outputs."""
    exact, signs, never = (
        RelativeFlatness("first", max_products=most, draws=50)(subject(name))
        for most in (products, products - 1, 0)
    )
    assert (exact.estimator, signs.estimator, never.estimator) == (EXACT, SIGNS, SIGNS)
    assert abs(signs.value - exact.value) < 4 * signs.stderr
    assert abs(signs.simplified - exact.simplified) < 4 * signs.simplified_stderr
    assert signs.value == never.value


def every_pair_of_directions(monkeypatch, W, columns):
    """What `directions` makes of all sign matrices (m, m), with m = d = 2."""
    coins = [torch.tensor(c).view(2, 2) for c in itertools.product([0, 1], repeat=4)]
    drawn = iter([c for coin in coins for c in (coin, coin)])
    monkeypatch.setattr(random_signs.torch, "randint", lambda *_, **__: next(drawn))
    return directions(W, columns, len(coins), 0)


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.3, 4.0)])
def test_the_mean_over_all_signs_is_exact(monkeypatch, scale):
    """E⟨V, H V⟩ over the 16 matrices there are is κ, and tr H, of H in normalised features."""
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(2, 2, generator=generator, dtype=torch.float64)
    A = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    H, columns = A + A.T, torch.tensor(scale, dtype=torch.float64)
    pairs = list(every_pair_of_directions(monkeypatch, W, columns))
    found = torch.stack(
        [torch.stack([V.flatten() @ H @ V.flatten() for V in pair]) for pair in pairs]
    ).mean(0)
    T = torch.einsum("stut,t->su", H.view(2, 2, 2, 2), columns**-2)
    rows = W * columns
    torch.testing.assert_close(found, torch.stack([(rows @ rows.T * T).sum(), T.trace()]))


def test_signs_in_blocks_are_those_of_the_layer(monkeypatch):
    """Wide layers draw Z a few columns at a time; V = W Z keeps its distribution."""
    W, columns = torch.eye(3), torch.ones(3)
    monkeypatch.setattr(random_signs, "BLOCK", 3)
    for image, signs in directions(W, columns, 3, 0):
        assert image.shape == signs.shape == (3, 3)
        assert set(image.flatten().tolist()) == set(signs.flatten().tolist()) == {-1.0, 1.0}


class TestNormalisedFeatures:
    @pytest.mark.parametrize("name", ["mixing", "conv1d", "circular", "tokens", "pixels"])
    def test_equals_the_definition(self, subject, flatness_by_definition, name):
        """Features over their standard deviation on the data, columns times it."""
        objective = subject(name)
        x = torch.cat([batch.x for batch in objective.batches])
        channels = {"conv1d": 1, "tokens": 2, "circular": 2, "pixels": 2}.get(name, 6)
        if name == "tokens":
            x = x.view(-1, 2)
        std = x.view(len(x), channels, -1).std((0, 2), correction=0)
        m = objective.weights.shapes["first.weight"][1:].numel()
        scale = std.repeat_interleave(m // channels)
        expected = flatness_by_definition(objective, "first", scale)
        record = RelativeFlatness("first", normalize_features=True)(objective)
        np.testing.assert_allclose([record.value, record.simplified], expected, rtol=1e-10)
        assert record.estimator == EXACT

    @pytest.mark.parametrize("name", ["transposed", "repeated"])
    def test_by_signs(self, subject, flatness_by_definition, name):
        objective = subject(name)
        layer = find(objective, "first")
        scale = layer.columns(deviations(objective, layer))
        kappa, kappa_hat = flatness_by_definition(objective, "first", scale)
        record = RelativeFlatness("first", normalize_features=True, draws=60)(objective)
        assert abs(record.value - kappa) < 4 * record.stderr
        assert abs(record.simplified - kappa_hat) < 4 * record.simplified_stderr

    def test_features_of_a_layer_called_three_times(self, subject):
        """All calls together: the inputs of each step, and the state before it."""
        objective = subject("repeated")
        first = objective.model.first
        x, h, seen = torch.cat([b.x for b in objective.batches]), 0, []
        for step in x.unflatten(1, (3, 2)).unbind(1):
            seen.append(torch.cat([step, h + step.new_zeros(len(x), 2)], 1))
            h = torch.tanh(first(seen[-1]))
        found = deviations(objective, find(objective, "first"))
        torch.testing.assert_close(found, torch.cat(seen).std(0, correction=0))

    @pytest.mark.parametrize("max_products", [0, 1024])
    def test_constant_and_dead_features(self, data, max_products):
        """A constant one counts as 1, a dead one for nothing; neither divides by zero."""
        batches = data()
        for batch in batches:
            batch.x[:, 0], batch.x[:, 1] = 0.0, -3.0
        found = []
        for c in (1.0, 10.0):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = nn.Sequential(nn.Linear(6, 3)).double()
            with torch.no_grad():
                model[0].weight[:, 0] *= c
                model[0].weight[:, 1] /= c
            for batch in batches:
                batch.x[:, 1] *= c
            measure = RelativeFlatness(normalize_features=True, max_products=max_products)
            found.append(measure(Objective(model, batches, cross_entropy)))
        assert np.isfinite([found[0].value, found[0].simplified]).all()
        assert found[1].value == pytest.approx(found[0].value, rel=1e-10)
        assert found[1].simplified == pytest.approx(found[0].simplified, rel=1e-10)

    @pytest.mark.parametrize(
        ("name", "layer", "message"),
        [
            ("tied", "head", "tied to another layer, which has other features"),
            ("tokens", "attention.out_proj", "uses its weight without calling it"),
        ],
    )
    def test_refused_without_features_of_its_own(self, subject, name, layer, message):
        with pytest.raises(ValueError, match=message):
            RelativeFlatness(layer, normalize_features=True)(subject(name))


class Bent(torch.autograd.Function):
    """z³/3 with a backward that leaves torch: its own derivative is lost without an error."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z**3 / 3

    @staticmethod
    def backward(ctx, g):
        (z,) = ctx.saved_tensors
        return g * z.detach() ** 2


def test_a_custom_backward_is_not_trusted(objective):
    """Then products are finite differences, and κ is that of the same loss in torch's terms."""
    custom, plain = (
        RelativeFlatness(draws=20, max_products=most)(
            objective(loss=lambda m, b, f=f: f(m(b.x)).square().mean())
        )
        for f, most in ((Bent.apply, 1024), (lambda z: z**3 / 3, 0))
    )
    assert custom.estimator == SIGNS
    assert custom.value == pytest.approx(plain.value, rel=1e-5)
    assert custom.value != plain.value


class Unusual(nn.Module):
    """A head that is called by keyword, after a body under the model's own autocast."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h = self.body(input=x.float())
        return self.head(input=torch.tanh(h.float()))


@pytest.mark.parametrize("layer", ["body", "head"])
def test_calls_by_keyword_and_under_the_models_own_autocast(data, layer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        subject = Objective(Unusual(), data(), cross_entropy)
    exact = RelativeFlatness(layer)(subject)
    signs = RelativeFlatness(layer, max_products=0, draws=50)(subject)
    assert exact.estimator == (CLOSED if layer == "head" else EXACT)
    assert abs(signs.value - exact.value) < 4 * signs.stderr + 0.02 * exact.value


def test_a_penalty_below_the_rounding_of_gradients_is_noticed(data):
    """In float32 its gradient is lost in that of the loss; it is still a way around the outputs."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Mixing()
    batches = [(batch.x.float(), batch.y) for batch in data()]
    found = [
        RelativeFlatness("first", draws=2)(Objective(model, batches, loss))
        for loss in (cross_entropy, penalised)
    ]
    assert [record.estimator for record in found] == [EXACT, SIGNS]
