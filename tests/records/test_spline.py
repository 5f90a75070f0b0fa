"""Splines on a grid against FITPACK, through scipy, and on polynomials."""

import numpy as np
import pytest
from scipy.interpolate import RectBivariateSpline

from landscape.records.spline import interpolated


@pytest.mark.parametrize("shape", [(2, 5), (3, 4), (4, 3), (5, 6), (25, 31)])
@pytest.mark.parametrize("even", [True, False])
def test_fitpack_without_smoothing(shape, even):
    generator = np.random.default_rng(sum(shape))
    x, y = (
        np.linspace(-1, 2, n) if even else np.cumsum(generator.uniform(0.1, 1, n)) for n in shape
    )
    values = generator.normal(size=shape)
    fine = np.linspace(x[0], x[-1], 4 * len(x) + 1), np.linspace(y[0], y[-1], 3 * len(y) + 1)
    degrees = {"kx": min(3, shape[0] - 1), "ky": min(3, shape[1] - 1)}
    expected = RectBivariateSpline(x, y, values, **degrees)(*fine)
    np.testing.assert_allclose(interpolated(x, y, values, *fine), expected, rtol=1e-10, atol=1e-11)


def test_cubics_are_met_exactly():
    x, y, fine = np.linspace(-1, 1, 6), np.linspace(0, 2, 5), np.linspace(0, 1, 9)

    def cubic(x, y):
        return (x**3 - 2 * x)[:, None] * (1 + y - y**3)[None]

    np.testing.assert_allclose(
        interpolated(x, y, cubic(x, y), fine, fine), cubic(fine, fine), atol=1e-12
    )


def test_values_at_the_points_come_back():
    generator = np.random.default_rng(1)
    x, y = np.cumsum(generator.uniform(0.2, 1, (2, 12)), axis=1)
    values = generator.normal(size=(12, 12))
    np.testing.assert_allclose(interpolated(x, y, values, x, y), values, atol=1e-12)
