"""Relative flatness against its definition on dense Hessians, its invariances and its own error."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective, flatness
from landscape.measures import RelativeFlatness
from landscape.measures.relative_flatness import CLOSED, EXACT, SIGNS, signed


def smoothed(model, batch):
    return F.cross_entropy(model(batch.x), batch.y, label_smoothing=0.2)


def squared(model, batch):
    return F.mse_loss(model(batch.x), F.one_hot(batch.y, 3).double())


def penalised(model, batch):
    return F.cross_entropy(model(batch.x), batch.y) + 0.1 * model[2].weight.square().sum()


@pytest.fixture
def by_definition():
    """κ = Σ ⟨w_s, w_s'⟩ tr H_ss' and κ̂ = ‖W‖² tr H from the layer's block of ∇²L."""

    def make(objective, layer):
        own = objective.layers[f"{layer}.weight"]
        W = objective.w[own].view(objective.weights.shapes[f"{layer}.weight"])
        d, m = W.shape
        columns = torch.eye(objective.weights.n, dtype=torch.float64)[:, own]
        H = objective.hvp(columns)[own].view(d, m, d, m)
        T = torch.stack([torch.stack([H[s, :, r].trace() for r in range(d)]) for s in range(d)])
        return float((W @ W.T * T).sum()), float(W.square().sum() * T.trace())

    return make


@pytest.mark.parametrize(
    ("name", "layer", "options", "estimator"),
    [
        ("mlp", "2", {}, CLOSED),
        ("relu", "2", {}, CLOSED),
        ("conv", "4", {"batch_norm": "stored"}, CLOSED),
        ("conv", "4", {"batch_norm": "batch"}, CLOSED),
        ("conv", "4", {"batch_norm": "reestimated"}, CLOSED),
        ("mlp", "2", {"loss": smoothed}, EXACT),
        ("mlp", "2", {"loss": squared}, EXACT),
        ("mlp", "0", {}, EXACT),
        ("relu", "0", {}, EXACT),
        ("mlp", "0", {"loss": squared}, EXACT),
        ("layer_norm", "0", {}, EXACT),
        ("mlp", "0", {"loss": penalised}, EXACT),
    ],
)
def test_equals_the_definition(objective, by_definition, name, layer, options, estimator):
    """F1: for the closed form and for the Hessian at the layer's output, to 1e-10."""
    subject = objective(name, **options)
    record = RelativeFlatness(layer)(subject)
    np.testing.assert_allclose(
        [record.value, record.simplified], by_definition(subject, layer), rtol=1e-10
    )
    assert (record.estimator, record.stderr, record.layer) == (estimator, 0.0, layer)


def test_the_two_exact_ways_agree(objective, monkeypatch):
    fast = RelativeFlatness()(objective())
    monkeypatch.setattr("landscape.measures.relative_flatness._is_cross_entropy", lambda *_: False)
    general = RelativeFlatness()(objective())
    assert (fast.estimator, general.estimator) == (CLOSED, EXACT)
    np.testing.assert_allclose(general.value, fast.value, rtol=1e-12)
    np.testing.assert_allclose(general.simplified, fast.simplified, rtol=1e-12)


class TestFormula:
    W = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    phi = torch.tensor([[1.0, 2.0]], dtype=torch.float64)

    def test_vector(self):
        """F11."""
        p = (self.phi @ self.W.T).softmax(1)
        np.testing.assert_allclose(p.numpy().round(5), [[0.09003, 0.24473, 0.66524]])
        np.testing.assert_allclose(flatness.kappa(self.phi, p, self.W), 1.3338075779, rtol=1e-10)
        np.testing.assert_allclose(
            flatness.kappa_hat(self.phi, p, self.W), 9.7891388422, rtol=1e-10
        )

    def test_keeps_its_digits_where_p_saturates(self):
        """p = (1, ε, ε): κ → ‖φ‖² ε (‖w_1 − w_0‖² + ‖w_2 − w_0‖²), κ̂ → 4 ε ‖φ‖² ‖W‖²."""
        small = 1e-10
        p = torch.tensor([[1.0, small, small]])
        kappa = flatness.kappa(self.phi.float(), p, self.W.float())
        hat = flatness.kappa_hat(self.phi.float(), p, self.W.float())
        np.testing.assert_allclose(kappa, 5 * small * 3, rtol=1e-5)
        np.testing.assert_allclose(hat, 5 * 4 * small * 4, rtol=1e-5)

    def test_gradient_is_that_of_the_naive_form(self):
        generator = torch.Generator().manual_seed(0)
        draw = [torch.randn(s, generator=generator, dtype=torch.float64) for s in ((5, 4), (3, 4))]
        phi, W = (t.requires_grad_() for t in draw)
        p = (phi @ W.T).softmax(1)
        centre = p @ W
        apart = (W[None] - centre[:, None]).square().sum(2)
        naive = (phi.square().sum(1) * (p * apart).sum(1)).mean()
        hat = W.square().sum() * (phi.square().sum(1) * (1 - p.square().sum(1))).mean()
        for value, known in (
            (flatness.kappa(phi, p, W), naive),
            (flatness.kappa_hat(phi, p, W), hat),
        ):
            torch.testing.assert_close(value, known, rtol=1e-12, atol=0)
            for a, b in zip(
                torch.autograd.grad(value, (phi, W), retain_graph=True),
                torch.autograd.grad(known, (phi, W), retain_graph=True),
                strict=True,
            ):
                torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


class TestInvariance:
    """On a ReLU net each change below leaves the function as it was."""

    @staticmethod
    def changed(objective, net, data, change, layer=None):
        model = net("relu")
        with torch.no_grad():
            change(model)
        x = data()[0].x
        torch.testing.assert_close(model(x), net("relu")(x))
        before = RelativeFlatness(layer)(objective("relu"))
        after = RelativeFlatness(layer)(Objective(model, data(), objective().loss))
        return after.value / before.value, after.simplified / before.simplified

    @pytest.mark.parametrize("c", [0.1, 3.7, 10.0])
    def test_scaling_layer_against_layer(self, objective, net, data, c):
        """F3: κ and κ̂ stay; the trace alone, κ̂/‖W‖², would change by c⁻²."""

        def change(model):
            model[2].weight *= c
            model[0].weight /= c
            model[0].bias /= c

        ratios = self.changed(objective, net, data, change)
        np.testing.assert_allclose(ratios, [1, 1], rtol=1e-10)

    def test_scaling_single_neurons_of_a_hidden_layer(self, objective, net, data):
        """F4: κ stays, κ̂ does not."""
        c = torch.tensor([0.2, 0.5, 1.0, 2.0, 5.0], dtype=torch.float64)

        def change(model):
            model[0].weight *= c[:, None]
            model[0].bias *= c
            model[2].weight /= c

        kappa, kappa_hat = self.changed(objective, net, data, change, layer="0")
        assert kappa == pytest.approx(1, rel=1e-10)
        assert abs(kappa_hat - 1) > 0.1

    def test_scaling_single_inputs_of_the_head(self, objective, net, data):
        """F5: neither stays; features are not standardised."""
        c = torch.tensor([0.2, 0.5, 1.0, 2.0, 5.0], dtype=torch.float64)

        def change(model):
            model[0].weight /= c[:, None]
            model[0].bias /= c
            model[2].weight *= c

        ratios = self.changed(objective, net, data, change)
        assert all(abs(ratio - 1) > 0.05 for ratio in ratios)

    def test_one_vector_added_to_all_rows(self, objective, net):
        """F6: κ stays, κ̂ does not. (The logits shift, the softmax does not.)"""
        p = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64)
        W = net("relu")[2].weight.detach()
        phi, shift = torch.ones(1, 5, dtype=torch.float64), torch.arange(5, dtype=torch.float64)
        assert flatness.kappa(phi, p, W + shift) == pytest.approx(float(flatness.kappa(phi, p, W)))
        assert flatness.kappa_hat(phi, p, W + shift) != pytest.approx(
            float(flatness.kappa_hat(phi, p, W))
        )


def test_labels_do_not_matter(objective, net, data):
    """F13."""
    other = [Batch(b.x, (b.y + 1) % 3) for b in data()]
    before, after = (
        RelativeFlatness()(Objective(net("mlp"), batches, objective().loss))
        for batches in (data(), other)
    )
    assert after.value == pytest.approx(before.value, rel=1e-12)
    assert after.point.loss != before.point.loss


def test_ignored_targets_do_not_count(objective, net, data, by_definition):
    batches = [Batch(b.x, b.y.clone().index_fill_(0, torch.tensor([1]), -100)) for b in data()]
    subject = Objective(net("mlp"), batches, objective().loss)
    record = RelativeFlatness()(subject)
    assert record.estimator == CLOSED
    assert record.value == pytest.approx(by_definition(subject, "2")[0], rel=1e-10)


def test_tokens_each_count_as_an_example(net, by_definition):
    """A head that sees (batch, tokens, features), as in a language model."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (4, 3), generator=generator)
    subject = Objective(
        net("mlp"), [(x, y)], lambda m, b: F.cross_entropy(m(b.x).flatten(0, 1), b.y.flatten())
    )
    record = RelativeFlatness()(subject)
    assert record.estimator == CLOSED
    assert record.value == pytest.approx(by_definition(subject, "2")[0], rel=1e-10)


class TestSigns:
    """Where examples see each other after the layer, or W is in the loss itself."""

    class Mixing(nn.Module):
        """Linear, then batch norm: with batch statistics the examples mix."""

        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Linear(6, 2), nn.BatchNorm1d(2)
            self.head = nn.Linear(2, 3)

        def forward(self, x):
            return self.head(torch.tanh(self.norm(self.first(x))))

    @pytest.fixture
    def mixing(self, data, objective):
        def make(policy):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = self.Mixing().double()
            return Objective(model, data(), objective().loss, batch_norm=policy)

        return make

    @pytest.mark.parametrize("policy", ["batch", "reestimated"])
    def test_mixed_examples_are_noticed(self, mixing, by_definition, policy):
        """F9: within 4.5 of its own standard errors; κ̂ is then not computed."""
        subject = mixing(policy)
        record = RelativeFlatness("first", draws=200)(subject)
        assert record.estimator == SIGNS
        assert np.isnan(record.simplified)
        assert record.stderr > 0
        assert abs(record.value - by_definition(subject, "first")[0]) < 4.5 * record.stderr

    def test_stored_statistics_do_not_mix(self, mixing, by_definition):
        subject = mixing("stored")
        record = RelativeFlatness("first")(subject)
        assert record.estimator == EXACT
        assert record.value == pytest.approx(by_definition(subject, "first")[0], rel=1e-10)

    def test_a_penalty_on_the_layer_is_noticed(self, objective, by_definition):
        subject = objective("mlp", loss=penalised)
        record = RelativeFlatness("2", draws=100)(subject)
        assert record.estimator == SIGNS
        assert abs(record.value - by_definition(subject, "2")[0]) < 4.5 * record.stderr

    def test_average_over_all_signs_is_exact(self, monkeypatch, objective, by_definition):
        """All 16 sign matrices of a layer with two inputs are the whole distribution."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 3)).double()
        x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        subject = Objective(model, [(x, torch.arange(5) % 3)], objective().loss)
        signs = [torch.tensor(z).double() for z in itertools.product([-1, 1], repeat=4)]
        monkeypatch.setattr("landscape.linalg.probes.signs", lambda *_: signs)
        value = signed(subject, "2", 16, 0).mean().item()
        assert value == pytest.approx(by_definition(subject, "2")[0], rel=1e-10)


def test_negative_values_are_reported(objective, net, data, by_definition):
    """F12, second half: smooth activations on a hidden layer can give κ < 0; it is not clamped."""
    found = []
    for seed in range(30):
        subject = Objective(net("mlp", seed), data(), squared)
        found.append(RelativeFlatness("0")(subject).value)
        assert found[-1] == pytest.approx(by_definition(subject, "0")[0], rel=1e-8)
        if found[-1] < 0:
            return
    pytest.fail(f"No negative value among {found}.")


@pytest.mark.parametrize(
    ("name", "layer", "message"),
    [
        ("mlp", "1", "must name an nn.Linear of the model: 0, 2. Got '1'"),
        ("tied", "haed", "Did you mean 'head'"),
        ("tied", "first", "of that layer alone"),
        ("tied", "second", "of that layer alone"),
    ],
)
def test_layers_that_cannot_be_asked(objective, name, layer, message):
    with pytest.raises(ValueError, match=message):
        RelativeFlatness(layer)(objective(name))


def test_a_frozen_layer_is_refused(net, data, objective):
    model = net("mlp")
    model[2].weight.requires_grad_(False)
    with pytest.raises(ValueError, match="frozen"):
        RelativeFlatness()(Objective(model, data(), objective().loss))


def test_no_linear_layer_is_refused(bare_objective):
    with pytest.raises(ValueError, match=r"needs an nn.Linear"):
        RelativeFlatness()(bare_objective([1.0, 2.0], lambda w: w.square().sum()))


def test_draws_below_two_are_refused():
    with pytest.raises(ValueError, match=r"`draws` must be at least 2. Got 1."):
        RelativeFlatness(draws=1)
