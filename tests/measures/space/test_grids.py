"""Axes: the origin exactly on them, ends exactly where they were asked for."""

import numpy as np
import pytest

from landscape.measures.space import grids


@pytest.mark.parametrize("span", [0.1, 0.3, 0.7, 1.0])
def test_the_middle_of_an_odd_axis_is_exactly_zero(span):
    """`numpy.linspace` alone misses it by rounding at 23 points of 0.1, and others."""
    for size in range(3, 121, 2):
        x, y = grids.axes(size, span)
        assert x[size // 2] == y[size // 2] == 0.0
        assert (x[0], x[-1]) == (-span, span)


def test_explicit_ends():
    x, y = grids.axes((3, 2), ((-1.0, 2.0), (0.5, 1.0)))
    assert (x.tolist(), y.tolist()) == ([-1.0, 0.5, 2.0], [0.5, 1.0])


@pytest.mark.parametrize("size", [3, 5, 9, 31])
def test_a_box_of_points_holds_them_and_the_origin(size):
    points = np.random.default_rng(0).normal([5.0, -3.0], size=(7, 2))
    points[0] = 0.0
    for axis, along in zip(grids.axes(size, None, points), points.T, strict=True):
        assert axis[0] < along.min()
        assert along.max() < axis[-1]
        assert 0.0 in axis
        np.testing.assert_allclose(np.diff(axis), axis[1] - axis[0])


def test_a_flat_cloud_still_has_two_axes():
    points = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    _, y = grids.axes(5, None, points)
    assert y[-1] > 0.05


@pytest.mark.parametrize(("size", "span"), [((3, 5), [1.0, 2.0]), ([3, 5], [1.0, 2.0])])
def test_lists_stand_for_tuples(size, span):
    for listed, own in zip(
        grids.axes(size, span, None), grids.axes((3, 5), (1.0, 2.0), None), strict=True
    ):
        np.testing.assert_array_equal(listed, own)
