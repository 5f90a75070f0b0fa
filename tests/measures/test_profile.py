"""Profiles: the axes of the planes that surfaces draw, eigenvalues as curvatures."""

import numpy as np
import pytest

from landscape.measures import Eigenvalues, Profile, Surface


def test_lines_are_the_axes_of_the_surfaces_planes(objective):
    subject = objective("conv")
    record = Profile(lines=3, size=5, span=0.6, seed=7)(subject)
    first = Surface(size=5, span=0.6, seed=7)(subject)
    second = Surface(size=5, span=0.6, seed=8)(subject)
    np.testing.assert_array_equal(record.x, first.x)
    expected = [first.loss[:, 2], first.loss[2, :], second.loss[:, 2]]
    np.testing.assert_allclose(record.loss, expected, rtol=1e-12)
    expected = [first.accuracy[:, 2], first.accuracy[2, :], second.accuracy[:, 2]]
    np.testing.assert_array_equal(record.accuracy, expected)


def test_w_is_on_every_line(objective):
    subject = objective()
    assert (Profile(lines=4, size=3)(subject).loss[:, 1] == subject.value()).all()


def test_curvatures_along_eigenvectors_are_eigenvalues(objective):
    subject, h = objective("mlp"), 1e-3
    loss = Profile(lines=4, size=3, span=h, directions="eigenvectors")(subject).loss
    curvatures = (loss[:, 2] - 2 * loss[:, 1] + loss[:, 0]) / h**2
    values = Eigenvalues(k=4)(subject).values
    np.testing.assert_allclose(curvatures, values, rtol=1e-3, atol=1e-4 * abs(values[0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lines": 0}, "`lines` must be at least 1. Got 0."),
        ({"size": 4}, "`size` must be odd and at least 3"),
        ({"span": -1.0}, "`span` must be positive. Got -1.0."),
        ({"directions": "minima"}, "`directions` must be one of random, eigenvectors. Got"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Profile(**settings)
