"""Relative flatness against its definition on dense Hessians, and which way it takes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective
from landscape.measures import RelativeFlatness
from landscape.measures.relative_flatness import CLOSED, EXACT
from landscape.network import flatness


def smoothed(model, batch):
    return F.cross_entropy(model(batch.x), batch.y, label_smoothing=0.2)


def squared(model, batch):
    return F.mse_loss(model(batch.x), F.one_hot(batch.y, 3).double())


def penalised(model, batch):
    return F.cross_entropy(model(batch.x), batch.y) + 0.1 * model[2].weight.square().sum()


@pytest.mark.parametrize(
    ("name", "layer", "options", "estimator"),
    [
        ("mlp", "2", {}, CLOSED),
        ("relu", "2", {}, CLOSED),
        ("conv", "4", {"batch_norm": "stored"}, CLOSED),
        ("conv", "4", {"batch_norm": "batch"}, CLOSED),
        ("conv", "4", {"batch_norm": "reestimated"}, CLOSED),
        ("mlp", "2", {"loss": smoothed}, CLOSED),
        ("mlp", "2", {"loss": squared}, EXACT),
        ("mlp", "0", {}, EXACT),
        ("relu", "0", {}, EXACT),
        ("mlp", "0", {"loss": squared}, EXACT),
        ("layer_norm", "0", {}, EXACT),
        ("mlp", "0", {"loss": penalised}, EXACT),
    ],
)
def test_equals_the_definition(objective, flatness_by_definition, name, layer, options, estimator):
    """F1: for the closed form and for the Hessian at the layer's output, to 1e-10."""
    subject = objective(name, **options)
    record = RelativeFlatness(layer)(subject)
    np.testing.assert_allclose(
        [record.value, record.simplified], flatness_by_definition(subject, layer), rtol=1e-10
    )
    assert (record.estimator, record.stderr, record.layer) == (estimator, 0.0, layer)


def test_the_two_exact_ways_agree(objective, monkeypatch):
    fast = RelativeFlatness()(objective())
    monkeypatch.setattr("landscape.measures.relative_flatness.is_softmax", lambda *_: False)
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


def test_labels_do_not_matter(objective, net, data):
    """F13."""
    other = [Batch(b.x, (b.y + 1) % 3) for b in data()]
    before, after = (
        RelativeFlatness()(Objective(net("mlp"), batches, objective().loss))
        for batches in (data(), other)
    )
    assert after.value == pytest.approx(before.value, rel=1e-12)
    assert after.point.loss != before.point.loss


def test_ignored_targets_do_not_count(objective, net, data, flatness_by_definition):
    batches = [Batch(b.x, b.y.clone().index_fill_(0, torch.tensor([1]), -100)) for b in data()]
    subject = Objective(net("mlp"), batches, objective().loss)
    record = RelativeFlatness()(subject)
    assert record.estimator == CLOSED
    assert record.value == pytest.approx(flatness_by_definition(subject, "2")[0], rel=1e-10)


def test_tokens_each_count_as_an_example(net, flatness_by_definition):
    """A head that sees (batch, tokens, features), as in a language model."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 3, (4, 3), generator=generator)
    subject = Objective(
        net("mlp"), [(x, y)], lambda m, b: F.cross_entropy(m(b.x).flatten(0, 1), b.y.flatten())
    )
    record = RelativeFlatness()(subject)
    assert record.estimator == CLOSED
    assert record.value == pytest.approx(flatness_by_definition(subject, "2")[0], rel=1e-10)


def test_negative_values_are_reported(objective, net, data, flatness_by_definition):
    """F12, second half: smooth activations on a hidden layer can give κ < 0; it is not clamped."""
    found = []
    for seed in range(30):
        subject = Objective(net("mlp", seed), data(), squared)
        found.append(RelativeFlatness("0")(subject).value)
        assert found[-1] == pytest.approx(flatness_by_definition(subject, "0")[0], rel=1e-8)
        if found[-1] < 0:
            return
    pytest.fail(f"No negative value among {found}.")


@pytest.mark.parametrize(
    ("name", "layer", "message"),
    [
        ("mlp", "1", "linear layer or convolution in `layer`: '1'. Known: 0, 2"),
        ("tied", "haed", "Did you mean 'head'"),
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


def test_groups_are_refused(data, objective):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.Conv2d(2, 2, 2, groups=2), nn.Flatten(), nn.Linear(2, 3)
    )
    subject = Objective(model.double(), data("conv"), objective().loss)
    with pytest.raises(ValueError, match="has 2 groups, whose rows weigh different inputs"):
        RelativeFlatness("1")(subject)


def test_no_linear_layer_is_refused(bare_objective):
    with pytest.raises(ValueError, match=r"needs an nn.Linear"):
        RelativeFlatness()(bare_objective([1.0, 2.0], lambda w: w.square().sum()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 1}, "`draws` must be at least 2. Got 1."),
        ({"max_products": -1}, "`max_products` must be non-negative. Got -1."),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RelativeFlatness(**settings)
