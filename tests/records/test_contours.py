"""Areas inside contours against closed forms."""

import numpy as np
import pytest

from landscape.records.contours import (
    ABOVE,
    NOT_FINITE,
    OUTSIDE,
    Contour,
    contour_around,
    expanded,
    polygon_area,
    refined,
)

AXIS = np.linspace(-1, 1, 25)


def grid(function, x=AXIS, y=AXIS):
    return function(*np.meshgrid(x, y, indexing="ij"))


def quadratic(first, second, angle):
    """(λ₁ u² + λ₂ v²)/2 along axes turned by an angle."""
    c, s = np.cos(angle), np.sin(angle)
    return lambda x, y: (first * (c * x + s * y) ** 2 + second * (c * y - s * x) ** 2) / 2


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 4])
@pytest.mark.parametrize(("first", "second"), [(1.0, 1.0), (2.0, 0.5), (1.6, 0.4)])
def test_ellipse(first, second, angle):
    """π·2c/√(λ₁λ₂); the error falls at least fourfold with half the cell."""
    level = 0.1
    exact = np.pi * 2 * level / np.sqrt(first * second)
    errors = []
    for size in (25, 49):
        axis = np.linspace(-1, 1, size)
        height = grid(quadratic(first, second, angle), axis, axis)
        errors.append(abs(contour_around(axis, axis, height, level).area / exact - 1))
    assert errors[0] < 1e-3
    assert errors[1] < errors[0] / 3.5


def test_not_square_cells_and_loss_i_j_belongs_to_x_i_y_j():
    x, y = np.linspace(-1, 1, 21), np.linspace(-3, 3, 31)
    height = grid(lambda a, b: a**2 + b**2 / 9, x, y)
    found = contour_around(x, y, height, 0.5)
    assert found.area == pytest.approx(np.pi * 0.5 * 3, rel=1e-3)
    assert np.ptp(found.rings[0], axis=0) == pytest.approx([2 * 0.5**0.5, 6 * 0.5**0.5], rel=1e-2)


def test_nonconvex_but_star_shaped():
    """r = 0.5 + 0.2 cos 3θ, whose area is π(0.25 + 0.02)."""

    def height(x, y):
        return np.hypot(x, y) / (0.5 + 0.2 * np.cos(3 * np.arctan2(y, x)))

    axis = np.linspace(-1, 1, 65)
    found = contour_around(axis, axis, grid(height, axis, axis), 1.0)
    assert found.area == pytest.approx(np.pi * 0.27, rel=2e-3)


def test_only_the_component_with_the_centre_counts():
    """Two equal wells apart; and the right one, asked for by its centre."""

    def height(x, y):
        return np.minimum((x + 0.5) ** 2 + y**2, 2 * ((x - 0.5) ** 2 + y**2))

    for at, factor in ((-0.5, 1.0), (0.5, 2.0)):
        found = contour_around(AXIS, AXIS, grid(height), 0.08, (at, 0.0))
        assert found.area == pytest.approx(np.pi * 0.08 / factor, rel=5e-3)


def test_a_hole_does_not_count():
    """A ring 0.4² < r² < 0.6² around an island, asked for by a point in it."""
    axis = np.linspace(-1, 1, 81)
    height = grid(lambda x, y: (x**2 + y**2 - 0.26) ** 2, axis, axis)
    found = contour_around(axis, axis, height, 0.01, (0.5, 0.0))
    assert found.area == pytest.approx(np.pi * 0.2, rel=2e-3)
    assert len(found.rings) == 2
    assert contour_around(axis, axis, height, 0.01) == ABOVE


@pytest.mark.parametrize("direction", [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1)])
def test_a_contour_that_leaves_the_plane_has_no_area(direction):
    a, b = direction
    height = grid(
        lambda x, y: 0.5 * ((x - a * 0.9) ** 2 + (y - b * 0.9) ** 2) - 0.405 * (a + b) ** 2
    )
    assert contour_around(AXIS, AXIS, height, 0.05) == OUTSIDE


def test_a_valley_that_is_open_on_one_side_has_no_area():
    assert contour_around(AXIS, AXIS, grid(lambda x, y: x**2 + 0.001 * y), 0.1) == OUTSIDE


def test_a_centre_above_the_level_has_no_area():
    assert contour_around(AXIS, AXIS, grid(lambda x, y: 1 - x**2 - y**2), 0.5) == ABOVE


def test_points_that_exploded_far_away_change_nothing():
    plain = grid(lambda x, y: x**2 + y**2)
    exploded = plain.copy()
    exploded[0, :3], exploded[-1, -1], exploded[0, -1] = 1e30, np.inf, np.nan
    areas = [contour_around(AXIS, AXIS, height, 0.1).area for height in (plain, exploded)]
    assert areas[1] == pytest.approx(areas[0], rel=1e-5)


def test_a_contour_along_points_that_are_not_finite_has_no_area():
    height = grid(lambda x, y: x**2 + y**2)
    height[19:, :] = np.nan  # x > 0.58, the contour reaches 0.6
    assert contour_around(AXIS, AXIS, height, 0.36) == NOT_FINITE


def test_steps_of_the_loss_are_no_ringing():
    """A plateau far above the level, reached within one cell: no area beyond the step."""
    height = grid(lambda x, y: np.where(np.hypot(x, y) < 0.5, 0.0, 1e6))
    found = contour_around(AXIS, AXIS, height, 0.1)
    assert isinstance(found, Contour)
    assert np.pi * 0.42**2 < found.area < np.pi * 0.5**2


def test_refined_heights_come_back_as_they_are():
    height = grid(lambda x, y: x**2 + y**2)
    x, y, fine = refined(AXIS, AXIS, height, 0.5, fine=4)
    exact = x[:, None] ** 2 + y[None, :] ** 2
    np.testing.assert_allclose(expanded(fine, 0.5), exact, atol=2e-4)


def test_polygon_area_of_a_triangle_far_from_zero():
    ring = np.array([[0, 0], [2, 0], [0, 3], [0, 0]]) + 1e6
    assert polygon_area(ring) == pytest.approx(3.0, rel=1e-9)
