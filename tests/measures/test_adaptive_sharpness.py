"""Adaptive sharpness against closed forms on quadratics and maxima over all corners."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import AdaptiveSharpness

F64 = torch.float64
H = torch.tensor([1.0, 4, 9], dtype=F64)
X = torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 2]], dtype=F64)
Y = torch.tensor([0, 1, 2, 1])
W = torch.tensor([[1.0, -1], [0, 2], [0.5, 0.5]], dtype=F64)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


class Vector(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=F64))


def quadratic(w=(1.0, -2.0, 0.5)):
    loss = lambda model, batch: (H * model.w**2).sum() / 2 + 0 * batch.x.sum()  # noqa: E731
    return Objective(Vector(w), [(torch.zeros(1, 1), None)], loss)


def softmax_regression(weight=W, rows=((0, 1, 2, 3),)):
    model = nn.Linear(2, 3, bias=False).double()
    model.weight.data.copy_(weight)
    return Objective(model, [(X[list(r)], Y[list(r)]) for r in rows], cross_entropy)


def asked(**settings):
    return AdaptiveSharpness(**{"radii": (0.1,), "average_radii": (0.1,), **settings})


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("norm", "adaptive", "expected"),
    [
        ("linf", True, 2.02125),
        ("l2", True, 1.6973458797),
        ("linf", False, 1.42),
        ("l2", False, 0.9493339025),
    ],
)
def test_worst_case_of_a_quadratic(norm, adaptive, expected):
    record = asked(norm=norm, adaptive=adaptive, restarts=3, steps=200)(quadratic())
    assert record.mean[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("norm", "adaptive", "expected"),
    [
        ("l2", True, 0.09625),
        pytest.param("linf", True, 0.0320833333, marks=pytest.mark.slow),
        pytest.param("l2", False, 0.07, marks=pytest.mark.slow),
        ("linf", False, 0.0233333333),
    ],
)
def test_average_case_of_a_quadratic(norm, adaptive, expected):
    """By pairs ±ξ, whose mean has no slope: E is then met within a few standard errors."""
    subject = quadratic()
    record = asked(norm=norm, adaptive=adaptive, draws=1000, steps=1)(subject)
    turned = asked(norm=norm, adaptive=adaptive, draws=1000, steps=1)(quadratic((-1.0, 2.0, -0.5)))
    sizes = (record.average + turned.average)[0] / 2
    if not adaptive:
        assert abs(record.average.mean() - expected) < 4 * record.average_stderr[0]
    assert abs(sizes.mean() - expected) < 4 * sizes.std() / 1000**0.5
    assert sizes.std() / 1000**0.5 < 0.05 * expected


def corners(subject, adaptive=True, rho=0.1, loss=None):
    """The highest rise over all 64 corners of the l∞ ball: the maximum where the loss is convex."""
    w = subject.w
    c = w.abs() if adaptive else torch.ones_like(w)
    value = loss or subject.value
    here = value(w)
    return max(
        value(w + rho * c * torch.tensor(s, dtype=F64)) - here for s in product((-1, 1), repeat=6)
    )


@pytest.mark.parametrize(("adaptive", "expected"), [(True, 0.0493617933), (False, 0.0752432696)])
def test_corners_of_softmax_regression(adaptive, expected):
    subject = softmax_regression()
    assert corners(subject, adaptive) == pytest.approx(expected, abs=1e-9)
    record = asked(adaptive=adaptive, restarts=2)(subject)
    assert record.mean[0] == pytest.approx(expected, abs=1e-9)


def test_mean_over_batches():
    record = asked(m=2, restarts=2)(softmax_regression())
    assert record.worst.shape == (1, 2)
    assert record.mean[0] == pytest.approx(0.0880302573, abs=1e-9)
    assert record.stderr[0] > 0
    assert record.mean[0] >= asked(restarts=2)(softmax_regression()).mean[0]


def test_l2_of_softmax_regression():
    record = asked(norm="l2", restarts=10, steps=100)(softmax_regression())
    assert record.mean[0] == pytest.approx(0.0260013996, abs=1e-8)


@pytest.mark.parametrize(
    ("how", "loss", "expected"),
    [("norm", 0.7284671179, 0.0192565368), ("rms", 0.6283931047, 0.0476983598)],
)
def test_normalised_logits(how, loss, expected):
    record = asked(logits=how, restarts=8)(softmax_regression())
    assert record.loss[0] == pytest.approx(loss, abs=1e-10)
    assert record.mean[0] >= expected - 1e-9
    scaled = asked(logits=how, restarts=8)(softmax_regression(10 * W))
    np.testing.assert_allclose(scaled.worst, record.worst, rtol=1e-9)
    np.testing.assert_allclose(scaled.average, record.average, rtol=1e-6)


def test_scaled_weights_are_sharper_with_plain_logits():
    assert asked(restarts=2)(softmax_regression(10 * W)).mean[0] == pytest.approx(0.75109, abs=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_unchanged_by_rescaled_neurons(norm):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    measure = asked(norm=norm, steps=10, restarts=1)
    before = measure(Objective(model, [(X, Y)], cross_entropy))
    scale = torch.tensor([0.1, 2.0, 7.0, 1.0], dtype=F64)
    with torch.no_grad():
        model[0].weight *= scale[:, None]
        model[0].bias *= scale
        model[2].weight /= scale
    after = measure(Objective(model, [(X, Y)], cross_entropy))
    np.testing.assert_allclose(after.worst, before.worst, rtol=1e-9)
    np.testing.assert_allclose(after.average, before.average, rtol=1e-9)


def test_weights_of_zero_do_not_move():
    """One of exactly 0 leaves the rest of the ball as it is."""
    found = asked(norm="l2", steps=50, restarts=2)(quadratic((1.0, 0.0, 0.5)))
    alone = asked(norm="l2", steps=50, restarts=2)
    two = Objective(
        Vector((1.0, 0.5)),
        [(torch.zeros(1, 1), None)],
        lambda m, b: (H[[0, 2]] * m.w**2).sum() / 2 + 0 * b.x.sum(),
    )
    assert found.mean[0] == pytest.approx(alone(two).mean[0], rel=1e-9)


def test_every_point_lies_in_its_ball():
    """Larger radii never find less; a first step of the l∞ ascent is a corner."""
    radii = (0.05, 0.1, 0.2)
    record = asked(radii=radii, average_radii=radii, steps=1)(quadratic())
    a = H * torch.tensor([1.0, 4.0, 0.25], dtype=F64)
    expected = [(rho + rho**2 / 2) * float(a.sum()) for rho in radii]
    np.testing.assert_allclose(record.mean, expected)


@pytest.mark.parametrize(
    "settings",
    [{"norm": "l1"}, {"logits": "softmax"}, {"m": 0}, {"draws": 1}, {"average_radii": (0.1, 0.2)}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}` must be"):
        asked(**settings)


def test_normalising_needs_logits():
    with pytest.raises(ValueError, match="where the model returns them"):
        asked(logits="norm")(
            Objective(
                nn.Linear(2, 1).double(), [(X, X[:, :1])], lambda m, b: m(b.x).square().mean()
            )
        )


def test_probabilities_are_not_normalised():
    model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(-1)).double()
    objective = Objective(model, [(X, Y)], lambda m, b: F.nll_loss(m(b.x).log(), b.y))
    with pytest.raises(ValueError, match=r'are probabilities.*logits="plain"'):
        asked(logits="norm")(objective)


def test_classes_must_be_the_last_axis():
    """Logits (n, classes, h, w) would be normalised along the width of the image."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x = nn.Conv2d(1, 3, 1).double(), torch.randn(2, 1, 4, 5, dtype=F64)
    y = torch.zeros(2, 4, 5, dtype=torch.long)
    with pytest.raises(ValueError, match=r"with the classes last\. Got \(2, 3, 4, 5\)"):
        asked(logits="norm")(Objective(model, [(x, y)], cross_entropy))
    places = lambda m, b: F.cross_entropy(m(b.x).flatten(0, 1), b.y.flatten())  # noqa: E731
    linear = softmax_regression().model
    sequences = Objective(linear, [(X.reshape(2, 2, 2), Y.reshape(2, 2))], places)
    found = asked(logits="norm", draws=2)(sequences)
    plain = asked(logits="norm", draws=2)(softmax_regression())
    np.testing.assert_allclose(found.worst, plain.worst, rtol=1e-9)
