"""Contours on one scale."""

import numpy as np
import pytest
from matplotlib.contour import ContourSet

from landscape.plots import surface
from landscape.plots.levels import shared_levels


def filled(ax):
    return next(c for c in ax.get_children() if isinstance(c, ContourSet) and c.filled)


def panels(figure):
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and ax.get_visible()]


def test_all_panels_share_levels_colours_and_limits(surface_record):
    methods = {"sgd": surface_record(3.0), "sam": surface_record(1.0), "fam": surface_record(0.1)}
    drawn = panels(surface(methods))
    assert [ax.get_title(loc="left") for ax in drawn] == ["SGD", "SAM", "FAM"]
    first = filled(drawn[0])
    assert first.levels[0] == pytest.approx(0.001)
    assert first.levels[-1] == pytest.approx(3.0 * 1.41)
    np.testing.assert_allclose(
        np.diff(np.log(first.levels)), np.log(first.levels[1] / first.levels[0])
    )
    for ax in drawn:
        assert filled(ax).levels.tolist() == first.levels.tolist()
        assert (filled(ax).norm.vmin, filled(ax).norm.vmax) == (first.norm.vmin, first.norm.vmax)
        assert (ax.get_xlim(), ax.get_ylim()) == ((-1.0, 1.0), (-2.0, 2.0))


def test_loss_i_j_belongs_to_x_i_y_j(surface_record):
    """The loss grows with x alone on a 3 x 5 grid: level lines must stand upright."""
    record = surface_record(loss=np.array([[1.0], [2.0], [3.0]]).repeat(5, axis=1))
    lines = next(
        c for c in surface(record).axes[0].get_children()
        if isinstance(c, ContourSet) and not c.filled
    )  # fmt: skip
    for path in lines.get_paths():
        if len(path.vertices):
            assert np.ptp(path.vertices[:, 0]) < 1e-9
            assert np.ptp(path.vertices[:, 1]) == 4.0


def test_conditions_are_printed(surface_record, words):
    said = words(surface(surface_record())).replace("\n", " ")
    assert "256 training examples, batch norm: reestimated" in said
    assert "along d₁ (filter norms)" in said
    assert "hatched" not in said


def test_the_minimum_is_marked(surface_record):
    marks = [
        line for line in surface(surface_record()).axes[0].get_lines() if line.get_marker() == "+"
    ]
    assert {(m.get_xdata()[0], m.get_ydata()[0]) for m in marks} == {(0.0, 0.0)}


def test_cells_that_are_not_finite_are_hatched(surface_record, words):
    loss = surface_record().loss.copy()
    loss[2] = [np.nan, np.inf, -np.inf, np.nan, np.inf]
    said = words(surface(surface_record(loss=loss))).replace("\n", " ")
    assert "hatched: not finite" in said


def test_no_finite_loss_at_all_is_refused(surface_record):
    with pytest.raises(ValueError, match=r"hold no finite loss"):
        surface(surface_record(loss=np.full((3, 5), np.inf)))


def test_a_few_exploded_cells_do_not_take_all_colours(surface_record):
    loss = surface_record().loss.copy()
    loss[0, 0] = 1e30
    levels = shared_levels([surface_record(loss=loss)])
    assert levels.values[-1] < 10.0
    assert levels.clipped


def test_negative_losses_get_linear_levels(surface_record):
    levels = shared_levels([surface_record(loss=surface_record().loss - 1.0)])
    assert not levels.log
    np.testing.assert_allclose(np.diff(levels.values), np.diff(levels.values)[0])


def test_a_flat_surface_still_draws(surface_record):
    levels = shared_levels([surface_record(loss=np.full((3, 5), 2.0))])
    assert (np.diff(levels.values) > 0).all()


def test_nine_panels_in_a_square(surface_record):
    methods = ("sgd", "adamw", "sam", "asam", "lookbehind", "lets", "msam", "fam", "aace")
    drawn = panels(surface({m: surface_record() for m in methods}))
    assert drawn[0].get_gridspec().nrows == drawn[0].get_gridspec().ncols == 3
    assert len(drawn) == 9
