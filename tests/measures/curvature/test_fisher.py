"""Fisher matrices against outer products of per-example gradients, and closed forms."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective
from landscape.measures import Eigenvalues, SpectralDensity, Trace
from landscape.measures.curvature.operator import operator

X = torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 2]], dtype=torch.float64)
Y = torch.tensor([0, 1, 2, 1])
W = torch.tensor([[1.0, -1], [0, 2], [0.5, 0.5]], dtype=torch.float64)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def softmax_regression(y=Y, parts=1):
    """Three classes, four examples, no bias: F = H."""
    model = nn.Linear(2, 3, bias=False).double()
    model.weight.data.copy_(W)
    rows = torch.arange(4).tensor_split(parts)
    return Objective(model, [(X[i], y[i]) for i in rows], cross_entropy)


def dense(matrix):
    return torch.stack([matrix.matvec(e) for e in torch.eye(matrix.n, dtype=torch.float64)])


def per_example(subject, loss=cross_entropy):
    """(1/N) Σ ∇ℓ_i ∇ℓ_iᵀ by one gradient per example, N examples of one weight."""
    model, total, count = subject.model, 0, 0
    for batch in subject.batches:
        for i in range(batch.size):
            value = loss(model, batch.rows(slice(i, i + 1)))
            g = torch.cat([d.flatten() for d in torch.autograd.grad(value, model.parameters())])
            total, count = total + torch.outer(g, g), count + 1
    return total / count


def test_values_of_softmax_regression():
    subject = softmax_regression()
    true, empirical = (dense(operator(subject, f)) for f in ("fisher", "empirical-fisher"))
    torch.testing.assert_close(true, dense(operator(subject)), rtol=0, atol=1e-15)
    exact = {"rtol": 0, "atol": 1e-10}
    expected = [0, 0, 0.0350796619, 0.1202470020, 0.1391819445, 0.2646787712]
    torch.testing.assert_close(torch.linalg.eigvalsh(true), true.new_tensor(expected), **exact)
    expected = [0, 0, 0.0001148512, 0.0118333602, 0.0902137148, 0.5233102045]
    torch.testing.assert_close(torch.linalg.eigvalsh(empirical), true.new_tensor(expected), **exact)
    assert true.trace().item() == pytest.approx(0.5591873797, abs=1e-10)
    assert empirical.trace().item() == pytest.approx(0.6254721308, abs=1e-10)


def test_closed_forms_of_the_traces():
    p = (X @ W.T).softmax(1)
    true, empirical = (
        dense(operator(softmax_regression(), f)).trace() for f in ("fisher", "empirical-fisher")
    )
    lengths = X.square().sum(1)
    torch.testing.assert_close(true, (lengths * (1 - p.square().sum(1))).mean())
    residual = (p - F.one_hot(Y, 3)).square().sum(1)
    torch.testing.assert_close(empirical, (lengths * residual).mean())


def test_the_true_one_does_not_see_the_labels():
    one, other = (softmax_regression(y) for y in (Y, Y.flip(0)))
    torch.testing.assert_close(dense(operator(one, "fisher")), dense(operator(other, "fisher")))
    apart = dense(operator(one, "empirical-fisher")) - dense(operator(other, "empirical-fisher"))
    assert apart.abs().max() > 0.1


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", ["mlp", "relu", "layer_norm", "tied", "conv"])
@pytest.mark.parametrize("memory", [0, 2**30])
def test_empirical_is_the_mean_of_outer_products(objective, name, memory):
    subject = objective(name, memory=memory)
    subject.model.eval()
    torch.testing.assert_close(dense(operator(subject, "empirical-fisher")), per_example(subject))


def test_batches_of_unequal_size():
    whole, parts = softmax_regression(), softmax_regression(parts=3)
    for curvature in ("fisher", "empirical-fisher"):
        torch.testing.assert_close(
            dense(operator(parts, curvature)), dense(operator(whole, curvature))
        )


def test_one_layer_is_a_block(objective):
    subject = objective("mlp")
    whole = dense(operator(subject, "empirical-fisher"))
    block = dense(operator(subject, "empirical-fisher", "2"))
    torch.testing.assert_close(block, whole[-len(block) :, -len(block) :])


def test_an_example_of_a_sequence_model_is_a_sequence():
    """The mean over places is within an example; the mean over examples is without."""
    model = nn.Linear(2, 3).double()
    x, y = torch.randn(4, 5, 2, dtype=torch.float64), torch.randint(3, (4, 5))

    def per_place(model, batch):
        return F.cross_entropy(model(batch.x).flatten(0, 1), batch.y.flatten())

    subject = Objective(model, [(x, y)], per_place)
    expected = per_example(subject, per_place)
    torch.testing.assert_close(dense(operator(subject, "empirical-fisher")), expected)


def test_squared_error_is_gauss_newton(data):
    def mse(model, batch):
        return F.mse_loss(model(batch.x), F.one_hot(batch.y, 3).double())

    subject = Objective(nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double(),
                        data(), mse)  # fmt: skip
    torch.testing.assert_close(
        dense(operator(subject, "fisher")), dense(operator(subject, "gauss-newton"))
    )
    torch.testing.assert_close(
        dense(operator(subject, "empirical-fisher")), per_example(subject, mse)
    )


@pytest.mark.parametrize("policy", ["batch", "reestimated"])
def test_batch_statistics(objective, policy):
    """Psd, of rank at most N, and not the matrix of stored statistics."""
    subject = objective("conv", batch_norm=policy)
    found = dense(operator(subject, "empirical-fisher"))
    torch.testing.assert_close(found, found.T)
    values = torch.linalg.eigvalsh(found)
    assert values.min() > -1e-12
    assert (values > 1e-9 * values.max()).sum() <= subject.examples


def weighted(model, batch):
    return F.cross_entropy(model(batch.x), batch.y, torch.tensor([1.0, 2, 3]).double())


def ignoring(model, batch):
    return F.cross_entropy(model(batch.x), batch.y, ignore_index=2)


def summed(model, batch):
    return F.cross_entropy(model(batch.x), batch.y, reduction="sum") / 5


def dice(model, batch):
    p, y = model(batch.x).softmax(1), F.one_hot(batch.y, 3)
    return 1 - ((2 * (p * y).sum(0) + 1) / (p.sum(0) + y.sum(0) + 1)).mean()


@pytest.mark.parametrize("loss", [weighted, ignoring, summed, dice])
def test_empirical_refuses_what_is_no_mean(net, data, loss):
    subject = Objective(net("mlp"), data()[:1], loss)
    with pytest.raises(ValueError, match="loss that is the mean over the examples"):
        operator(subject, "empirical-fisher")


def huber(model, batch):
    return F.huber_loss(model(batch.x), 2.0 * F.one_hot(batch.y, 3).double())


@pytest.mark.parametrize("loss", [weighted, ignoring, dice, huber])
def test_true_refuses_where_gauss_newton_is_no_fisher(objective, loss):
    subject = objective("mlp", loss=loss)
    with pytest.raises(ValueError, match="whatever the label"):
        operator(subject, "fisher")


def test_output_without_rows():
    class Swapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 3).double()

        def forward(self, x):
            return self.layer(x).T

    subject = Objective(
        Swapped(), [Batch(X, Y)], lambda model, b: F.cross_entropy(model(b.x).T, b.y)
    )
    with pytest.raises(ValueError, match=r"a row for each of the 4 examples. Got \(3, 4\)"):
        operator(subject, "empirical-fisher")


def test_measures_of_a_fisher_matrix():
    subject = softmax_regression()
    top = Eigenvalues(k=2, curvature="empirical-fisher")(subject)
    assert top.values == pytest.approx([0.5233102045, 0.0902137148], abs=1e-8)
    assert top.curvature == "empirical-fisher"
    found = Trace(curvature="empirical-fisher")(subject)
    assert found.value == pytest.approx(0.6254721308, abs=1e-6)
    density = SpectralDensity(curvature="fisher", steps=6)(subject)
    assert density.curvature == "fisher"
    settings = top.settings["curvature"]
    assert settings == "empirical-fisher"


def test_empirical_refuses_weights_that_a_later_batch_shows():
    """Class weights cancel in a first batch of one class."""
    x, y = torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1] * 4)
    weighted = lambda m, b: F.cross_entropy(m(b.x), b.y, torch.tensor([1.0, 5.0]))  # noqa: E731
    subject = Objective(nn.Linear(2, 2), [(x[:4], 0 * y[:4]), (x, y.sort().values)], weighted)
    for curvature, message in (("empirical-fisher", "weights them"), ("fisher", "of one weight")):
        with pytest.raises(ValueError, match=message):
            operator(subject, curvature)
