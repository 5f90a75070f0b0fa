"""A preview: exact where it was measured, near elsewhere, and honest about it."""

import numpy as np
import pytest

from landscape.measures import Surface
from landscape.measures.space.interpolation import cells_to_check, coarse, filled, worst_error


@pytest.mark.parametrize("size", [3, 5, 7, 51])
def test_every_second_point_both_ends_and_the_zero(size):
    axis = np.linspace(-1, 1, size)
    axis[size // 2] = 0.0
    kept = coarse(axis)
    assert {0, size // 2, size - 1} <= set(kept)
    assert np.diff(kept).max() <= 2
    assert len(kept) <= size // 2 + 2


def test_a_quarter_of_the_passes(objective):
    subject, calls = objective(), []
    record = Surface(size=21, preview=True)(
        subject, progress=lambda done, total: calls.append((done, total))
    )
    assert calls[-1] == (121, 121)
    assert record.preview
    assert record.loss.shape == (21, 21)
    assert record.centre == subject.value()


def test_near_the_truth_and_honest_about_it(objective):
    subject = objective("mlp")
    full = Surface(size=21)(subject)
    quick = Surface(size=21, preview=True)(subject)
    kept = coarse(full.x)
    measured = np.ix_(kept, kept)
    np.testing.assert_array_equal(quick.loss[measured], full.loss[measured])
    errors = np.abs(quick.loss / full.loss - 1)
    assert errors.max() < 0.04
    assert 0 < quick.preview_error <= errors.max() * (1 + 1e-9)
    assert not full.preview
    assert full.preview_error is None


def test_what_is_checked_was_not_measured():
    rows = columns = np.array([0, 2, 4])
    cells = cells_to_check((5, 5), rows, columns, seed=3)
    assert len(set(cells)) == 16
    assert not [cell for cell in cells if cell[0] % 2 == cell[1] % 2 == 0]
    assert cells != cells_to_check((5, 5), rows, columns, seed=4)
    assert cells_to_check((3, 3), np.arange(3), np.arange(3), seed=0) == []


def test_the_largest_error_is_stated():
    assert worst_error([1.0, 2.2, 0.7], [(1.0, 0.5), (2.0, 0.5), (1.0, 0.5)]) == pytest.approx(0.3)
    assert worst_error([], []) == 0.0
    assert np.isnan(worst_error([1.0, np.nan], [(1.0, 0.5), (2.0, 0.5)]))


def test_an_exponential_bowl_is_exact():
    """log L is a cubic here: the spline of the logarithm hits it, one of the loss would not."""
    x, y = np.linspace(-2, 2, 13), np.linspace(-1, 3, 9)
    loss = np.exp(x[:, None] ** 3 - y[None] ** 2 + x[:, None] * y[None])
    rows, columns = coarse(x), coarse(y)
    found = filled(x, y, rows, columns, loss[np.ix_(rows, columns)], log=True)
    np.testing.assert_allclose(found, loss, rtol=1e-9)


def test_what_is_not_finite_does_not_spread():
    x = np.linspace(-1, 1, 9)
    loss = 1 + x[:, None] ** 2 + x[None] ** 2
    kept = coarse(x)
    values = loss[np.ix_(kept, kept)]
    values[0, 0] = np.nan
    found = filled(x, x, kept, kept, values, log=True)
    assert np.isnan(found[0, 0])
    assert np.isfinite(found[3:]).all()
    assert np.isnan(found).sum() <= 4
