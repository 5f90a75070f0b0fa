"""PAC-Bayes σ against closed forms: a sign classifier, and the loss of a quadratic."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.linalg import probes
from landscape.measures import PacBayes

F64 = torch.float64
H = torch.tensor([1.0, 4, 9], dtype=F64)


class Vector(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=F64))


def quadratic(w=(0.0, 0.0, 0.0)):
    loss = lambda model, batch: (H * model.w**2).sum() / 2 + 0 * batch.x.sum()  # noqa: E731
    return Objective(Vector(w), [(torch.zeros(1, 1), None)], loss)


def sign_classifier():
    """One point with the margin 5 = w·x, ‖x‖ = 5: error Φ(−1/σ)."""
    model = nn.Linear(2, 1, bias=False).double()
    model.weight.data = torch.tensor([[0.6, 0.8]], dtype=F64)
    x, y = torch.tensor([[3.0, 4.0]], dtype=F64), torch.tensor([1])
    return Objective(
        model, [(x, y)], lambda m, b: F.softplus(-m(b.x)).mean(),
        logits=lambda m, b: torch.cat([torch.zeros_like(m(b.x)), m(b.x)], 1),
    )  # fmt: skip


def two_rows():
    """The same margin by two independent rows of logits: error Φ(−5/(5√2 σ))."""
    model = nn.Linear(2, 2, bias=False).double()
    model.weight.data = torch.tensor([[-0.3, -0.4], [0.3, 0.4]], dtype=F64)
    x, y = torch.tensor([[3.0, 4.0]], dtype=F64), torch.tensor([1])
    return Objective(model, [(x, y)], lambda m, b: F.cross_entropy(m(b.x), b.y))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subject", "form", "expected"),
    [
        (sign_classifier, 0, 0.7803041461),
        (sign_classifier, 1, 1.0626460105),
        (two_rows, 0, 0.5517583531),
    ],
)
def test_error_of_a_sign_classifier(subject, form, expected):
    record = PacBayes(draws=400)(subject())
    assert record.low[form] < expected < record.high[form]
    assert record.sigma[form] == pytest.approx(expected, rel=0.15)
    assert record.flatness[form] == pytest.approx(1 / record.sigma[form] ** 2)


def test_error_at_the_same_draws():
    """Draw s is wrong from σ_s = −5/(ξ_s·x) on: more than a tenth of 40 from the fifth σ_s on."""
    subject, draws = sign_classifier(), 40
    along = torch.stack(list(probes.gaussians(subject.w, draws, 0))) @ subject.given[0].x[0]
    flips = sorted((-5 / along[along < 0]).tolist())
    record = PacBayes(draws=draws)(subject)
    assert record.sigma[0] == pytest.approx(flips[4], rel=0.011)
    assert record.low[0] < record.sigma[0] < record.high[0]
    assert record.clean == 0


def test_loss_of_a_quadratic_at_the_same_draws():
    """mean(rise) = σ²/2 · mean(Σ h ξ²): σ is exact but for the 2 % of the bracket."""
    subject, draws = quadratic(), 10
    xi = torch.stack(list(probes.gaussians(subject.w, draws, 0)))
    rises = (H * xi**2).sum(1) / 2
    record = PacBayes(quantity="loss", draws=draws)(subject)
    assert record.sigma[0] == pytest.approx(math.sqrt(0.1 / rises.mean()), rel=0.011)
    t, spread = 2.262157, float(rises.std() / draws**0.5)
    for found, by in ((record.low[0], t), (record.high[0], -t)):
        assert found == pytest.approx(math.sqrt(0.1 / (rises.mean() + by * spread)), rel=0.011)


@pytest.mark.parametrize("seed", range(4))
def test_a_fall_is_no_rise(seed):
    """L = w: draws that fall make up for those that rise, and a mean that falls costs nothing."""
    subject = Objective(
        Vector((0.0,)), [(torch.zeros(1, 1), None)], lambda m, b: m.w.sum() + 0 * b.x.sum()
    )
    mean = float(torch.stack(list(probes.gaussians(subject.w, 10, seed))).mean())
    record = PacBayes(quantity="loss", seed=seed)(subject)
    expected = 0.1 / mean if mean > 0 else math.nan
    assert record.sigma[0] == pytest.approx(expected, rel=0.011, nan_ok=True)


@pytest.mark.slow
def test_the_interval_covers():
    """σ = √(2 · 0.1/14) lies in most of the intervals: rises of a quadratic are skewed."""
    exact = math.sqrt(0.2 / 14)
    records = [PacBayes(quantity="loss", draws=20, seed=s)(quadratic()) for s in range(60)]
    inside = np.mean([r.low[0] <= exact <= r.high[0] for r in records])
    assert inside >= 0.75
    assert np.mean([r.sigma[0] for r in records]) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(("epsilon", "invariant"), [(0.0, True), (0.3, False)])
def test_rescaled_neurons(epsilon, invariant):
    """The magnitude-aware σ stays where ε = 0; the plain one moves."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).double()
        x, y = torch.randn(20, 2, dtype=F64), torch.randint(3, (20,))
    loss = lambda m, b: F.cross_entropy(m(b.x), b.y)  # noqa: E731
    measure = PacBayes(quantity="loss", epsilon=epsilon)
    before = measure(Objective(model, [(x, y)], loss)).sigma
    scale = torch.tensor([0.1, 2.0, 7.0, 1.0], dtype=F64)
    with torch.no_grad():
        model[0].weight *= scale[:, None]
        model[0].bias *= scale
        model[2].weight /= scale
    after = measure(Objective(model, [(x, y)], loss)).sigma
    assert after[0] != pytest.approx(before[0], rel=0.02)
    assert bool(after[1] == pytest.approx(before[1], rel=1e-9)) is invariant


def test_a_rise_that_falls_again_is_said():
    """A loss that saturates behind a hill: the first crossing is taken."""

    def hill(model, batch):
        size = model.w.square().sum()
        return size * torch.exp(-size) + 0 * batch.x.sum()

    subject = Objective(Vector((0.0,)), [(torch.zeros(1, 1), None)], hill)
    record = PacBayes(quantity="loss", draws=50)(subject)
    assert not record.monotone[0]
    assert record.sigma[0] < 0.6
    assert PacBayes(quantity="loss", draws=50)(quadratic()).monotone.all()


def test_refusals():
    with pytest.raises(ValueError, match='set quantity="loss"'):
        PacBayes()(quadratic())


def test_no_noise_costs_as_much_and_all_noise_does():
    flat = Objective(Vector((0.0,)), [(torch.zeros(1, 1), None)],
                     lambda m, b: torch.tanh(m.w.sum()) + 0 * b.x.sum())  # fmt: skip
    assert np.isnan(PacBayes(quantity="loss", deviation=5.0)(flat).sigma).all()
    record = PacBayes(quantity="loss", epsilon=10.0)(quadratic())
    assert record.sigma[1] == 0 < record.sigma[0]


@pytest.mark.parametrize(
    "settings", [{"deviation": 0.0}, {"quantity": "accuracy"}, {"draws": 1}, {"epsilon": -1.0}]
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}` must be"):
        PacBayes(**settings)
