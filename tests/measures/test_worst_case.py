"""The worst case against quadratics, against noise, and its point in the ball."""

import numpy as np
import pytest
import torch

from landscape.measures import NoiseRobustness, WorstCase

D = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
EVERYTHING = {"scale": "absolute", "biases": True}


def test_highest_curvature_at_a_stationary_point(bare_objective):
    """L = wᵀ diag(1, 4, 9) w / 2 at 0: ρ² λ_max / 2."""
    subject = bare_objective(torch.zeros(3), lambda w: 0.5 * (D * w**2).sum())
    record = WorstCase(radii=(0.1, 0.4), steps=30, **EVERYTHING)(subject)
    np.testing.assert_allclose(record.loss, [0.045, 0.72], rtol=1e-8)
    assert (record.reached[:, 0] <= record.loss).all()
    assert record.reached.shape == (2, 2)


def test_a_linear_loss(bare_objective):
    """L = ⟨a, w⟩: the highest is at ρ a/‖a‖, one step away."""
    a = torch.tensor([2.0, -3.0, 6.0], dtype=torch.float64)
    record = WorstCase(radii=(0.5, 1.0), steps=1, restarts=0, **EVERYTHING)(
        bare_objective([1.0, 1.0, 1.0], lambda w: a @ w)
    )
    np.testing.assert_allclose(record.loss, [5 + 3.5, 5 + 7.0], rtol=1e-12)


def test_a_ball_in_units_of_the_weights(bare_objective):
    """‖e/|w|‖ ≤ ρ: the rise of ⟨a, w⟩ is ρ‖a ⊙ w‖."""
    a = torch.tensor([2.0, -3.0, 6.0], dtype=torch.float64)
    w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    record = WorstCase(radii=(0.5,), steps=3, restarts=1, scale="elementwise", biases=True)(
        bare_objective(w, lambda w: a @ w)
    )
    assert record.loss[0] - record.clean_loss == pytest.approx(0.5 * float((a * w).norm()))


def test_above_all_noise_of_that_length(objective):
    """Of 200 points of the sphere none is worse, in the units of the same scale."""
    subject = objective("conv")
    record = WorstCase(radii=(0.3, 1.0))(subject)
    noise = NoiseRobustness(sigmas=tuple(record.radius / 32**0.5), draws=200, scale="filter")(
        subject
    )  # 32 weights move: noise of level σ is about σ√32 long
    assert (noise.loss.max(axis=1) < record.loss).all()
    assert (np.diff(record.loss) > 0).all()
    assert record.loss[0] > record.clean_loss


def test_loss_and_accuracy_are_those_of_one_point_in_the_ball(objective):
    """Every point that is asked lies within the largest radius; biases and batch norm stand."""
    subject, seen = objective("conv"), []
    plain, w = subject.loss, dict(subject.model.named_parameters())
    kept = {k: p.detach().clone() for k, p in w.items()}

    def watched(model, batch):
        now = {k: p.detach() for k, p in model.named_parameters()}
        length = torch.tensor(0.0)
        for k, p in now.items():
            if p.dim() > 1:
                rms = kept[k].flatten(1).square().mean(1).sqrt().view(-1, *[1] * (p.dim() - 1))
                length = length + ((p - kept[k]) / rms).square().sum()
            else:
                assert torch.equal(p, kept[k])
        seen.append(float(length) ** 0.5)
        return plain(model, batch)

    subject.risk.loss = watched
    record = WorstCase(radii=(2.0,), steps=1)(subject)
    looks = [length for length in seen if length > 0]
    assert min(looks) == pytest.approx(2.0) == max(looks)  # starts too lie on the sphere
    assert record.loss[0] > record.clean_loss
    assert 0 <= record.accuracy[0] < record.clean_accuracy


def test_more_work_never_finds_less(objective):
    subject = objective("relu")
    few = WorstCase(radii=(0.5, 2.0), steps=2, restarts=0)(subject)
    many = WorstCase(radii=(0.5, 2.0), steps=15, restarts=3)(subject)
    assert (many.loss >= few.loss).all()
    assert (few.loss >= few.clean_loss).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radii": (1.0, 1.0)}, "`radii` must rise"),
        ({"scale": "layer"}, "`scale` must be one of max, rms"),
        ({"steps": 0}, "`steps` must be at least 1"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        WorstCase(**settings)
