"""Bowls and contours of quadratics against their closed forms."""

import numpy as np
import pytest

from landscape.plots.bowl import geometry
from landscape.plots.bowl.geometry import bowl, half_width, ribbon
from landscape.records.contours import polygon_area


@pytest.fixture
def record(made_up):
    return made_up["rise_area"]["sam"][0]


def test_the_bowl_is_the_surface_cut_at_four_rises(record):
    shape = bowl(record, 10.0)
    first, second = record.eigenvalues
    exact = (first * shape.x**2 + second * shape.y**2) / 2
    np.testing.assert_allclose(shape.z, exact, atol=4e-3)
    np.testing.assert_allclose(exact[-1], 0.4, rtol=1e-2)
    np.testing.assert_allclose(np.hypot(shape.x, shape.y)[0], 0, atol=1e-12)


def test_the_bowl_ends_at_the_distance_that_is_shown(record):
    shape = bowl(record, 0.2)
    np.testing.assert_allclose(np.hypot(shape.x, shape.y)[-1], 0.2, rtol=1e-9)
    assert shape.z.max() < 0.1


def test_the_bowl_ends_before_points_that_are_not_finite(record):
    record.loss[:, 20:] = np.nan
    shape = bowl(record, 10.0)
    assert np.isfinite(shape.z).all()
    assert shape.y.max() <= record.y[20]


def test_contours(record):
    """Areas of the ellipses at a quarter, half, once and twice the rise."""
    shape = bowl(record, 10.0)
    for level, line in {**shape.lines, record.rise: shape.ring}.items():
        exact = 2 * np.pi * level / np.sqrt(np.prod(record.eigenvalues))
        assert polygon_area(line) == pytest.approx(exact, rel=5e-3)
        steps = np.hypot(*np.diff(line, axis=0).T)
        assert np.ptp(steps) < 0.02 * steps.mean()
    assert list(shape.lines) == pytest.approx([0.025, 0.05, 0.2])


def test_contours_beyond_what_is_shown_are_left_out(record):
    assert list(bowl(record, 0.35).lines) == pytest.approx([0.025, 0.05])


def test_all_that_a_scene_shows_fits_into_its_half_width(made_up):
    firsts = [found[0] for found in made_up["rise_area"].values()]
    half = half_width(firsts)
    assert max(np.abs(bowl(r, half).ring).max() for r in firsts) < half


def test_ribbon_around_a_circle():
    angle = np.linspace(0, 2 * np.pi, geometry.VERTICES)
    x, y = ribbon(np.stack([np.cos(angle), np.sin(angle)], 1), 0.1)
    radius = np.sort(np.hypot(x, y), axis=0)
    np.testing.assert_allclose(radius[0], 0.9, rtol=1e-6)
    np.testing.assert_allclose(radius[1], 1.1, rtol=1e-6)
