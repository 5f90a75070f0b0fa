"""Fisher-Rao norm against closed forms, per-example gradients, and its invariance."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective
from landscape.measures import FisherRao
from landscape.measures.curvature.operator import operator

X = torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 2]], dtype=torch.float64)
Y = torch.tensor([0, 1, 2, 1])
W = torch.tensor([[1.0, -1], [0, 2], [0.5, 0.5]], dtype=torch.float64)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def objective_of(model, x=X, y=Y, parts=1):
    rows = torch.arange(len(x)).tensor_split(parts)
    return Objective(model, [(x[i], y[i]) for i in rows], cross_entropy)


def linear():
    model = nn.Linear(2, 3, bias=False).double()
    model.weight.data.copy_(W)
    return model


def relu_net(bias=True, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(2, 4, bias), nn.ReLU(), nn.Linear(4, 4, bias), nn.ReLU(),
            nn.Linear(4, 3, bias),
        ).double()  # fmt: skip


@pytest.mark.parametrize("parts", [1, 3])
def test_values_of_softmax_regression(parts):
    record = FisherRao()(objective_of(linear(), parts=parts))
    assert record.value == pytest.approx(0.3910166382, abs=1e-10)
    assert record.empirical == pytest.approx(0.1507089020, abs=1e-10)


def test_standard_errors_over_the_examples():
    z = X @ W.T
    p, truth = z.softmax(1), F.one_hot(Y, 3)
    model = (p * z**2).sum(1) - (p * z).sum(1) ** 2
    data = ((p - truth) * z).sum(1) ** 2
    record = FisherRao()(objective_of(linear()))
    assert record.stderr == pytest.approx(float(model.std() / 2))
    assert record.empirical_stderr == pytest.approx(float(data.std() / 2))


@pytest.mark.parametrize("bias", [True, False])
def test_quadratic_forms_of_the_fisher_matrices(bias):
    subject = objective_of(relu_net(bias))
    record = FisherRao()(subject)
    for found, curvature in ((record.value, "fisher"), (record.empirical, "empirical-fisher")):
        form = subject.w @ operator(subject, curvature).matvec(subject.w)
        assert found == pytest.approx(float(form), rel=1e-12)


def test_shortcut_by_layers_holds_without_biases_alone():
    """D² Var_p(z), D layers: exact for the bias-free network, off with biases."""
    for bias, holds in ((False, True), (True, False)):
        model = relu_net(bias)
        z = model(X).detach()
        p = z.softmax(1)
        shortcut = 9 * float(((p * z**2).sum(1) - (p * z).sum(1) ** 2).mean())
        assert (FisherRao()(objective_of(model)).value == pytest.approx(shortcut)) is holds


@pytest.mark.parametrize("bias", [True, False])
def test_unchanged_by_rescaled_neurons(bias):
    model = relu_net(bias)
    before = FisherRao()(objective_of(model))
    with torch.no_grad():
        scale = torch.tensor([0.1, 2.0, 7.0, 1.0], dtype=torch.float64)
        model[0].weight *= scale[:, None]
        if bias:
            model[0].bias *= scale
        model[2].weight /= scale
    after = FisherRao()(objective_of(model))
    assert after.value == pytest.approx(before.value, rel=1e-12)
    assert after.empirical == pytest.approx(before.empirical, rel=1e-12)


def test_scaling_the_last_layer_is_seen():
    model = linear()
    before = FisherRao()(objective_of(model)).value
    model.weight.data *= 2
    assert FisherRao()(objective_of(model)).value != pytest.approx(before, rel=0.01)


def test_weights_before_batch_norm_contribute_nothing():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4, eps=1e-12), nn.ReLU(),
                              nn.Linear(4, 3)).double()  # fmt: skip
    frozen = [p.requires_grad_(False) for p in model[0].parameters()]
    assert frozen
    alone = FisherRao()(Objective(model, [(X, Y)], cross_entropy, batch_norm="batch"))
    for p in frozen:
        p.requires_grad_(True)
    whole = FisherRao()(Objective(model, [(X, Y)], cross_entropy, batch_norm="batch"))
    assert whole.value == pytest.approx(alone.value, rel=1e-6)


def test_refuses_weighted_examples():
    def weighted(model, batch):
        return F.cross_entropy(model(batch.x), batch.y, torch.tensor([1.0, 2, 3]).double())

    with pytest.raises(ValueError, match="whatever the label"):
        FisherRao()(Objective(linear(), [(X, Y)], weighted))


SQUARED = lambda m, b: F.cross_entropy(m(b.x), b.y, reduction="none").square().mean()  # noqa: E731
SUMMED = lambda m, b: F.cross_entropy(  # noqa: E731
    m(b.x), b.y, torch.tensor([1.0, 2, 3]).double(), reduction="sum"
) / len(b.y)  # fmt: skip


@pytest.mark.parametrize("loss", [SQUARED, SUMMED])
@pytest.mark.parametrize(
    "batches",
    [[(X, 0 * Y)], [(X[:1], Y[:1])], [(X[:2], 0 * Y[:2]), (X, Y)]],
    ids=["one class", "one example", "first batch of one class"],
)
def test_refuses_label_dependence_that_the_labels_at_hand_hide(loss, batches):
    with pytest.raises(ValueError, match="whatever the label"):
        FisherRao()(Objective(linear(), batches, loss))


def test_values_of_one_class_and_of_one_example():
    for x, y in ((X, 0 * Y), (X[:1], Y[:1])):
        z = x @ W.T
        p = z.softmax(1)
        expected = ((p * z**2).sum(1) - (p * z).sum(1) ** 2).mean()
        assert FisherRao()(objective_of(linear(), x, y)).value == pytest.approx(float(expected))
    squared = Objective(linear(), [(X[:1], 9 + Y[:1].double()[:, None].expand(1, 3))],
                      lambda m, b: F.mse_loss(m(b.x), b.y))  # fmt: skip
    assert FisherRao()(squared).value == pytest.approx(2 / 3 * 1.25)


def test_refuses_ignored_labels_in_a_later_batch():
    """Their rows cost nothing, so the mean over the rows is not that over the batch's loss."""
    ignored = torch.tensor([0, 1, -100, 1])
    with pytest.raises(ValueError, match="examples of one weight"):
        FisherRao()(Objective(linear(), [(X, Y), (X, ignored)], cross_entropy))


def test_refuses_a_loss_that_is_linear_in_the_output():
    subject = Objective(linear(), [(X, Y.double()[:, None].expand(4, 3))],
                        lambda m, b: F.l1_loss(m(b.x), b.y))  # fmt: skip
    with pytest.raises(ValueError, match="is linear in it"):
        FisherRao()(subject)


def test_several_outputs_with_weighted_batches():
    """(w·∇ℓ_i)² of each example by itself."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = linear(), linear()

        def forward(self, x):
            return {"one": self.one(x), "other": self.other(2 * x)}

    def both(model, batch):
        z = model(batch.x)
        return F.cross_entropy(z["one"], batch.y) + F.cross_entropy(z["other"], batch.y)

    model, batches = Two(), [Batch(X[:1], Y[:1], weight=3.0), Batch(X[1:], Y[1:], weight=1.0)]
    subject = Objective(model, batches, both)
    squares = [
        float(subject.w @ subject.on_batches([Batch(X[i : i + 1], Y[i : i + 1])]).grad()) ** 2
        for i in range(4)
    ]
    expected = 0.75 * squares[0] + 0.25 * sum(squares[1:]) / 3
    assert FisherRao()(subject).empirical == pytest.approx(expected)


class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, g):
        return g * (1 - ctx.saved_tensors[0].tanh() ** 2)


class Unlinked(Tanh):
    """Leaves torch on the way back: the derivative along the weights stops there."""

    @staticmethod
    def backward(ctx, g):
        return Tanh.backward(ctx, g).detach()


class Exponential(torch.autograd.Function):
    """exp(z) whose second derivative is forgotten, and with it what depends on the label."""

    @staticmethod
    def forward(ctx, z):
        ctx.slope = z.detach().exp()
        return ctx.slope.clone()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.slope


class Custom(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.a, self.b, self.function = nn.Linear(2, 4), nn.Linear(4, 3), function

    def forward(self, x):
        return self.b(self.function(self.a(x)))


def custom(function):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Custom(function).double()


def test_a_right_custom_function_changes_nothing():
    records = [FisherRao()(objective_of(custom(f))) for f in (torch.tanh, Tanh.apply)]
    assert records[1].value == pytest.approx(records[0].value, rel=1e-10)
    assert records[1].empirical == pytest.approx(records[0].empirical, rel=1e-10)


def bent(model, batch):
    return F.cross_entropy(Exponential.apply(model(batch.x)), batch.y)


@pytest.mark.parametrize(
    ("function", "loss"), [(Unlinked.apply, cross_entropy), (torch.tanh, bent)]
)
def test_a_custom_function_that_drops_terms_is_refused(function, loss):
    with pytest.raises(ValueError, match="leaves the operations of torch"):
        FisherRao()(Objective(custom(function), [(X, Y)], loss))
