"""Contours on one scale."""

import numpy as np
import pytest
from matplotlib.contour import ContourSet

from landscape.plots import surface
from landscape.plots.drawing.levels import shared_levels


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
    drawn = [path.vertices for path in lines.get_paths() if len(path.vertices)]
    for vertices in drawn:
        assert np.ptp(vertices[:, 0]) < 1e-9
        assert np.ptp(vertices[:, 1]) == 4.0
    at = [vertices[0, 0] for vertices in drawn]
    assert at == sorted(at)  # higher levels further right
    assert at[0] < 0 < at[-1]


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


@pytest.fixture
def two_sets(surface_record, point):
    """A record whose second data set has ten times the loss."""
    first = surface_record()
    return surface_record(
        other_loss=10 * first.loss, other_accuracy=first.accuracy, relative_stderr=0.25,
        other_point={**vars(point), "split": "test", "examples": 99},
    )  # fmt: skip


def test_train_and_test_side_by_side(two_sets, words):
    figure = surface({"sgd": two_sets, "sam": two_sets}, other=True)
    titles = [ax.get_title(loc="left") for ax in panels(figure)]
    assert titles == ["SGD, training", "SGD, test", "SAM, training", "SAM, test"]
    assert filled(panels(figure)[0]).levels[-1] == pytest.approx(10 * 1.41)
    said = words(figure).replace("\n", " ")
    assert "256 training examples / 99 test examples" in said
    assert "standard error of the loss at w from these examples: 25%" in said


def test_no_second_data_set(surface_record):
    with pytest.raises(ValueError, match=r"`other` needs records of two data sets"):
        surface(surface_record(), other=True)


def test_accuracy_in_percent_and_linear(surface_record, words):
    figure = surface(surface_record(), "accuracy")
    levels = filled(figure.axes[0]).levels
    assert levels[-1] == pytest.approx(100 * np.exp(-0.01))
    np.testing.assert_allclose(np.diff(levels), levels[1] - levels[0])
    assert "accuracy (%)" in words(figure)
    with pytest.raises(ValueError, match=r"`quantity` must be loss or accuracy. Got 'kappa'."):
        surface(surface_record(), "kappa")


def test_w_is_marked_where_it_is(surface_record):
    record = surface_record(position=np.array([0.5, -1.0]))
    lines = surface(record).axes[0].get_lines()
    marks = {(m.get_xdata()[0], m.get_ydata()[0]) for m in lines if m.get_marker() == "+"}
    assert marks == {(0.5, -1.0)}


@pytest.fixture
def fitted(surface_record):
    def make(directions, names):
        points = np.array([[-0.5, 1.0], [0.0, 0.5], [0.5, -1.0]])
        return surface_record(
            directions=directions, points=points, point_names=np.array(names),
            points_off_plane=np.array([0.1, 0.3, 0.2]), explained=np.array([0.81, 0.12]),
        )  # fmt: skip

    return make


def test_the_way_of_the_training(fitted, words):
    figure = surface(fitted("trajectory", ["1", "2", "3"]))
    line = next(ln for ln in figure.axes[0].get_lines() if len(ln.get_xdata()) == 3)
    assert line.get_xdata().tolist() == [-0.5, 0.0, 0.5]
    assert line.get_ydata().tolist() == [1.0, 0.5, -1.0]
    said = words(figure).replace("\n", " ")
    assert "PC 1, 81% of the variance (length)" in said
    assert "line: the training, up to 0.3 off the plane" in said


def test_all_minima_in_every_panel(fitted, words):
    record = fitted("minima", ["sgd, seed 0", "sgd, seed 1", "sam, seed 0"])
    figure = surface({"sgd": record, "sam": record})
    for ax in panels(figure):
        places = [tuple(*ln.get_xydata()) for ln in ax.get_lines() if ln.get_marker() in "o^"]
        assert places == [(-0.5, 1.0), (0.0, 0.5), (0.5, -1.0)]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["SGD", "SAM"]


def test_other_planes_no_common_share(fitted, words):
    first = fitted("trajectory", "123")
    second = fitted("trajectory", "123")
    second.explained[0] = 0.5
    assert "PC 1 (length)" in words(surface({"sgd": first, "sam": second}))


def test_a_preview_says_so(surface_record, words):
    figure = surface(surface_record(preview=True, preview_error=0.034))
    said = words(figure).replace("\n", " ")
    assert "preview: interpolated, off by up to 3.4% at 16 points checked" in said
    assert "preview" in [t.get_text() for t in figure.axes[0].texts]
    assert "preview" not in words(surface(surface_record()))


def test_planes_of_different_kinds_are_refused(surface_record):
    records = {"sgd": surface_record(), "sam": surface_record(directions="eigenvectors")}
    with pytest.raises(ValueError, match=r"directions of one kind. Got eigenvectors and random"):
        surface(records)


def test_planes_of_other_extent_share_their_axes(surface_record):
    small = surface_record(x=(-0.1, 0.0, 0.1))
    for ax in panels(surface({"sgd": small, "sam": surface_record()})):
        assert (ax.get_xlim(), ax.get_ylim()) == ((-1.0, 1.0), (-2.0, 2.0))


def test_a_wide_plane_has_wide_panels(surface_record):
    wide = surface_record(x=(-9.0, 0.0, 9.0))
    drawn = panels(surface({"sgd": wide, "sam": wide}))
    assert drawn[0].get_gridspec().ncols == 1


def test_a_way_on_a_line_leaves_room_for_the_numbers(surface_record):
    """A plane that is ten times as wide as high; numbers 0.12 inches apart at least."""
    record = surface_record(
        x=np.linspace(-1, 9, 11), y=np.linspace(-0.5, 0.5, 5), directions="trajectory",
        points=np.array([[8.0, 0.0], [4.0, 0.0], [0.0, 0.0]]), explained=np.array([1.0, 0.0]),
    )  # fmt: skip
    figure = surface(record)
    figure.draw_without_rendering()
    bar = next(ax for ax in figure.axes if ax.get_label() == "<colorbar>")
    height = bar.get_position().height * figure.get_figheight()
    labels = [t for t in bar.yaxis.get_majorticklabels() if t.get_text()]
    assert len(labels) >= 3
    assert height / (len(labels) - 1) > 0.12
    name = figure.axes[0].yaxis.label.get_window_extent()
    assert name.y0 >= 0 and name.y1 <= figure.bbox.height


def test_nothing_is_called_nothing(surface_record):
    levels = shared_levels([surface_record(loss=np.linspace(0, 50, 15).reshape(3, 5))], "accuracy")
    assert levels.name(float(levels.values[0])) == "0"
    assert levels.name(98.7) == "99"


def test_lines_have_their_numbers_where_there_is_room(surface_record):
    """As the colour bar has them."""

    def numbers(figure):
        return {words.get_text() for words in panels(figure)[0].texts}

    figure = surface(surface_record())
    bar = {words.get_text() for words in figure.axes[-1].get_yticklabels()}
    assert numbers(figure) and numbers(figure) <= bar
    assert not numbers(surface({str(i): surface_record() for i in range(9)}))
