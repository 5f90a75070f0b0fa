"""The climb in a ball against quadratics whose highest point is known."""

import math

import pytest
import torch
from scipy.optimize import brentq

from landscape.measures.space import ball_ascent, ball_norms


def quadratic(h, b):
    h, b = (torch.tensor(t, dtype=torch.float64) for t in (h, b))
    return ball_ascent.Hill(lambda u: float(b @ u + u @ h @ u / 2), lambda u: b + h @ u)


def walked(hill, radii, steps, directions=(), n=3):
    centre = hill.at(torch.zeros(n, dtype=torch.float64))
    return list(ball_ascent.walk(hill, centre, radii, steps, directions))


def highest_in_ball(h, b, rho):
    """Of bᵀu + uᵀHu/2 on ‖u‖ ≤ ρ: (μI − H)u = b at the sphere with μ ≥ λ_max (Moré, Sorensen)."""
    values, vectors = torch.linalg.eigh(torch.tensor(h, dtype=torch.float64))
    c = vectors.T @ torch.tensor(b, dtype=torch.float64)
    length = lambda mu: float((c / (mu - values)).norm())  # noqa: E731
    least = max(float(values[-1]), 0.0)
    inside = least == 0 and float(values[-1]) < 0 and length(0.0) <= rho
    mu = (
        0.0 if inside else brentq(lambda m: length(m) - rho, least + 1e-12, least + 1e9, xtol=1e-14)
    )
    u = c / (mu - values)
    return float(c @ u + (values * u**2).sum() / 2)


CASES = {
    "convex": ([[1.0, 0.2, 0.0], [0.2, 4.0, 0.5], [0.0, 0.5, 9.0]], [1.0, -2.0, 0.3]),
    "indefinite": ([[-30.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 0.0, -5.0]], [3.0, 0.5, -1.0]),
    "concave": ([[-3.0, 0.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, -8.0]], [1.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_trust_regions_solution(case):
    """Also where it lies inside the ball, and where full steps overshoot."""
    h, b = CASES[case]
    radii = (0.1, 0.5, 2.0)
    found = walked(quadratic(h, b), radii, steps=60)
    for rho, reached in zip(radii, found, strict=True):
        expected = highest_in_ball(h, b, rho)
        assert reached.best.height == pytest.approx(expected, rel=1e-6)
        assert reached.best.height <= expected * (1 + 1e-9)
        assert float(reached.best.u.norm()) <= rho * (1 + 1e-12)


def test_a_stationary_point_needs_another_start():
    """L = uᵀ diag(1, 4, 9) u / 2 at 0: from the centre nothing rises, from elsewhere 9ρ²/2."""
    hill = quadratic([[1.0, 0, 0], [0, 4.0, 0], [0, 0, 9.0]], [0.0] * 3)
    (alone,) = walked(hill, (0.5,), steps=30)
    assert alone.best.height == alone.first == 0
    start = ball_norms.unit(torch.ones(3, dtype=torch.float64))
    (found,) = walked(hill, (0.5,), steps=30, directions=[start])
    assert found.best.height == pytest.approx(0.125 * 9, rel=1e-9)
    assert found.heights == [0, found.best.height]


def test_one_step_at_every_radius_costs_one_gradient():
    calls = {"height": 0, "slope": 0}
    hill = quadratic(*CASES["convex"])

    def counted(name):
        def call(u):
            calls[name] += 1
            return getattr(hill, name)(u)

        return call

    walked(ball_ascent.Hill(counted("height"), counted("slope")), (0.1, 0.2, 0.4), steps=1)
    assert calls == {"height": 1 + 3, "slope": 1}


def test_the_first_step_is_full_and_the_height_never_falls():
    """A bump at u = 0.3: beyond it the first step sinks, the best stays on top."""
    bump = ball_ascent.Hill(
        lambda u: float(-((u[0] - 0.3) ** 2)),
        lambda u: torch.stack([-2 * (u[0] - 0.3), 0 * u[0]]),
    )
    found = walked(bump, (0.1, 0.3, 1.0), steps=1, n=2)
    assert [r.first for r in found] == pytest.approx([-0.04, 0.0, -0.49])
    assert [r.best.height for r in found] == pytest.approx([-0.04, 0.0, 0.0], abs=1e-15)


def test_what_the_smaller_ball_found_is_carried_outwards():
    """A hill that hides its slope: only the other start knows the way, and ρ = 2 learns it."""
    hidden = ball_ascent.Hill(lambda u: float(u[0]), lambda u: 0 * u)
    start = torch.ones(1, dtype=torch.float64)
    near, far = walked(hidden, (1.0, 2.0), steps=2, directions=[start], n=1)
    assert (near.heights, far.heights) == ([0, 1.0], [2.0, 2.0])


def test_where_the_function_breaks_the_rise_is_infinite():
    """From the radius on at which some start meets it; the smaller ball keeps its number."""
    hill = quadratic(*CASES["convex"])
    cliff = ball_ascent.Hill(lambda u: hill.height(u) if u.norm() < 0.5 else math.nan, hill.slope)
    for steps in (1, 8):
        near, far = walked(cliff, (0.4, 1.0), steps)
        assert 0 < near.best.height < math.inf
        assert far.best.height == far.first == math.inf


@pytest.mark.parametrize("breaks", [0.0, 0.3])
def test_a_gradient_that_is_not_finite_is_refused(breaks):
    hill = quadratic(*CASES["convex"])
    broken = ball_ascent.Hill(
        hill.height, lambda u: hill.slope(u) if u.norm() < breaks else math.nan * u
    )
    with pytest.raises(ValueError, match=r"gradient .* is not finite.*norm of 0"):
        walked(broken, (0.4, 1.0), steps=8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (((), 1, 0), "`radii` must be positive"),
        (((0.0, 1.0), 1, 0), "`radii` must be positive"),
        (((math.nan,), 1, 0), "`radii` must be positive"),
        (((1.0, 0.5), 1, 0), "`radii` must rise"),
        (((1.0,), 0, 0), "`steps` must be at least 1. Got 0"),
        (((1.0,), 1, -1), "`restarts` must be non-negative. Got -1"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        ball_ascent.check(*settings)
