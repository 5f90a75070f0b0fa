"""m-sharpness against its closed forms, the ascent of training, and a naive loop over batches."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective
from landscape.measures import Sharpness
from landscape.measures.space.regrouping import regrouped
from landscape.methods import ascent

D = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
ONE = {"steps": 1, "restarts": 0}


def test_one_step_on_a_quadratic(bare_objective):
    """ρ‖g‖ + ρ²/2 · gᵀHg/‖g‖² for L = wᵀ diag(1, 4, 9) w / 2 at (1, 1, 1): g = (1, 4, 9)."""
    subject = bare_objective(torch.ones(3), lambda w: 0.5 * (D * w**2).sum())
    record = Sharpness(radii=(0.1, 1.0), **ONE)(subject)
    expected = [rho * 98**0.5 + rho**2 / 2 * (1 + 64 + 729) / 98 for rho in (0.1, 1.0)]
    np.testing.assert_allclose(record.one_step[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(record.sharpness[:, 0], expected, rtol=1e-12)
    assert record.loss.tolist() == [7.0]


def test_highest_curvature_at_a_stationary_point(bare_objective):
    """ρ² λ_max / 2, which one step from w cannot see."""
    subject = bare_objective(torch.zeros(3), lambda w: 0.5 * (D * w**2).sum())
    record = Sharpness(radii=(0.1, 0.4), steps=30)(subject)
    np.testing.assert_allclose(record.sharpness[:, 0], [0.045, 0.72], rtol=1e-8)
    assert record.one_step[:, 0].tolist() == [0, 0]


@pytest.mark.parametrize("rule", ["sam", "asam"])
@pytest.mark.parametrize("name", ["conv", "tied"])
def test_the_first_step_is_that_of_training(objective, rule, name):
    """For every batch by itself: L_B(w + e) − L_B(w) with the e of the method."""
    subject = objective(name)
    record = Sharpness(radii=(0.05, 0.5), rule=rule, m=4, **ONE)(subject)
    w, parts = (
        subject.w,
        [p for b, k in zip(subject.batches, (2, 1), strict=True) for p in b.shards(k)],
    )
    unscaled = [s for k, s in subject.layers.items() if "weight" not in k]
    for b, part in enumerate(parts):
        alone = Objective(subject.model, [part], subject.loss)
        g = alone.grad()
        for i, rho in enumerate((0.05, 0.5)):
            e = ascent.sam(g, w, rho) if rule == "sam" else ascent.asam(g, w, rho, 0.01, unscaled)
            rise = alone.value(w + e) - alone.value()
            assert record.one_step[i, b] == pytest.approx(rise, rel=1e-9)
    assert record.share.tolist() == [3, 4, 4]


def test_adaptive_balls_do_not_see_the_scale_of_layers():
    """Two layers without biases, one scaled up and the other down: the same function of data."""

    def made(factor):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(
                nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 3, bias=False)
            ).double()
            x, y = torch.randn(8, 6).double(), torch.arange(8) % 3
        with torch.no_grad():
            model[0].weight *= factor
            model[2].weight /= factor
        return Objective(model, [(x, y)], lambda m, b: F.cross_entropy(m(b.x), b.y))

    ask = {"radii": (0.5, 1.0), "m": 4, "steps": 4, "restarts": 1}
    one, other = (Sharpness(rule="asam", eta=0.0, **ask)(made(f)) for f in (1.0, 8.0))
    np.testing.assert_allclose(one.sharpness, other.sharpness, rtol=1e-9)
    plain, scaled = (Sharpness(rule="sam", **ask)(made(f)) for f in (1.0, 8.0))
    assert (scaled.sharpness > 2 * plain.sharpness).all()


def test_more_steps_and_restarts_find_more(objective):
    """And never less than one step, than nothing, than at a smaller radius."""
    subject = objective("relu")
    few = Sharpness(radii=(0.1, 0.5, 2.0), m=4, steps=2, restarts=0)(subject)
    many = Sharpness(radii=(0.1, 0.5, 2.0), m=4, steps=12, restarts=2)(subject)
    assert (many.sharpness >= few.sharpness).all()
    assert (many.sharpness > few.sharpness).any()
    assert (few.sharpness >= np.maximum(few.one_step, 0)).all()
    assert (np.diff(few.sharpness, axis=0) >= 0).all()


def test_batch_norm_of_all_data_where_it_is_estimated(objective):
    """A batch alone would have other statistics than the data that the objective holds."""
    subject = objective("conv", batch_norm="reestimated")
    record = Sharpness(radii=(0.1,), m=7, **ONE)(subject)
    assert record.share @ record.loss / 11 == pytest.approx(subject.value(), rel=1e-12)
    with subject.opened(subject.w):
        first = subject.batches[0]
        expected = F.cross_entropy(subject.model(first.x), first.y).item()
    assert record.loss[0] == pytest.approx(expected)


def test_mean_and_error_by_hand(bare_objective):
    """Batches of 3 and 1 examples, rises a·ρ and b·ρ: mean (3a + b)/4, error √2 · |…|/…"""
    batches = [
        Batch(torch.full((3,), 2.0).double(), None),
        Batch(torch.full((1,), 6.0).double(), None),
    ]
    model = nn.Module()
    model.w = nn.Parameter(torch.ones(1).double())
    subject = Objective(model, batches, lambda m, b: b.x.mean() * m.w.sum())
    record = Sharpness(radii=(0.5,), m=3, **ONE)(subject)
    assert record.sharpness.tolist() == [[1.0, 3.0]]
    assert record.mean[0] == pytest.approx(1.5)
    squares = (0.75 * (1.0 - 1.5)) ** 2 + (0.25 * (3.0 - 1.5)) ** 2
    assert record.stderr[0] == pytest.approx((2 * squares) ** 0.5)
    equal = Sharpness(radii=(0.5,), m=1, **ONE)(subject)
    assert equal.stderr[0] == pytest.approx(equal.sharpness[0].std(ddof=1) / 2)
    assert np.isnan(Sharpness(radii=(0.5,), m=4, **ONE)(subject).stderr).all()


class TestRegrouped:
    @staticmethod
    def rows(batches):
        return [b.x.tolist() for b in batches]

    def test_batches_are_cut(self):
        batches = [Batch(torch.arange(7), torch.arange(7)), Batch(torch.arange(7, 9), None)]
        parts = regrouped(batches, 3)
        assert self.rows(parts) == [[0, 1], [2, 3], [4, 5, 6], [7, 8]]

    def test_small_ones_are_joined_in_their_order(self):
        batches = [Batch({"a": (torch.arange(k, k + 2),)}, torch.arange(2)) for k in (0, 2, 4)]
        (first, second) = regrouped(batches, 3)
        assert first.x["a"][0].tolist() == [0, 1, 2]
        assert second.x["a"][0].tolist() == [3, 4, 5]
        assert second.y.tolist() == [1, 0, 1]

    def test_one_batch_of_all(self):
        assert self.rows(regrouped([Batch(torch.arange(2), None)], 100)) == [[0, 1]]

    def test_what_does_not_fit_together_is_refused(self):
        ragged = [Batch(torch.zeros(2, 5), None), Batch(torch.zeros(2, 6), None)]
        with pytest.raises(ValueError, match=r"cannot be joined to `m` = 4.*`m` to at most 2"):
            regrouped(ragged, 4)
        assert len(regrouped(ragged, 2)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radii": ()}, "`radii` must be positive"),
        ({"m": 0}, "`m` must be at least 1. Got 0"),
        ({"rule": "fam"}, "`rule` must be one of sam, asam. Got 'fam'"),
        ({"eta": -0.1}, "`eta` must be non-negative. Got -0.1"),
        ({"steps": 0}, "`steps` must be at least 1"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Sharpness(**settings)
