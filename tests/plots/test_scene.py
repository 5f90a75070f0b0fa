"""The 3-D scene."""

import numpy as np
import pytest

from landscape.plots import scene


@pytest.fixture
def two(surface_record):
    return scene({"sgd": surface_record(2.0), "a<b>": surface_record(1.0)})


def test_one_scene_with_a_menu(two):
    assert [trace.type for trace in two.data] == ["surface", "scatter3d"] * 2
    assert [trace.visible for trace in two.data] == [True, True, False, False]
    buttons = two.layout.updatemenus[0].buttons
    assert [b.label for b in buttons] == ["SGD", "a&lt;b&gt;"]
    assert buttons[1].args[0]["visible"] == [False, False, True, True]


def test_one_scale_for_all(two):
    surfaces = two.data[::2]
    expected = pytest.approx((-2.0, np.log10(2.82)))
    assert [(s.cmin, s.cmax) for s in surfaces] == [expected] * 2
    assert two.layout.scene.zaxis.range == expected


def test_height_is_the_loss_at_y_x(two, surface_record):
    """plotly wants z[y, x]; the axis is logarithmic, and so are the colours."""
    heights = np.array(two.data[2].z)
    np.testing.assert_allclose(heights, surface_record(1.0).loss.T, rtol=5e-4)
    assert heights.shape == (5, 3)
    np.testing.assert_allclose(two.data[2].surfacecolor, np.log10(surface_record(1.0).loss).T)
    assert two.layout.scene.zaxis.type == "log"


def test_all_views_for_a_page_with_controls(surface_record):
    """Train beside test, loss and accuracy, each with a word of what it is; one of them visible."""
    both = surface_record(
        other_loss=surface_record(3.0).loss,
        other_accuracy=surface_record(3.0).accuracy,
        other_point={**vars(surface_record().point), "split": "test"},
    )
    figure = scene({"sgd": both, "sam": both}, views=True)
    surfaces = [trace for trace in figure.data if trace.type == "surface"]
    marks = {tuple(s.meta[key] for key in ("method", "split", "quantity")) for s in surfaces}
    assert len(marks) == len(surfaces) == 8
    assert {split for _, split, _ in marks} == {"training", "test"}
    assert [trace.visible for trace in figure.data] == [True, True] + [False] * 14
    assert not figure.layout.updatemenus
    assert figure.layout.meta["accuracy"]["type"] == "linear"
    other = next(s for s in surfaces if s.meta["split"] == "test" and s.meta["quantity"] == "loss")
    np.testing.assert_allclose(np.array(other.z), surface_record(3.0).loss.T, rtol=5e-4)


def test_holes_where_the_loss_is_not_finite(surface_record):
    loss = surface_record().loss.copy()
    loss[1, 2] = np.inf
    figure = scene(surface_record(loss=loss))
    assert figure.data[0].z[2][1] is None
    assert figure.data[1].z[0] is None
    assert not figure.layout.updatemenus


def test_w_where_it_is_and_a_preview_by_name(surface_record):
    figure = scene(surface_record(position=np.array([1.0, -2.0]), preview=True))
    surface, weights = figure.data
    assert (weights.x[0], weights.y[0]) == (1.0, -2.0)
    assert weights.z[0] == pytest.approx(1.41)
    assert "preview" in surface.hovertemplate


def test_a_scene_of_its_own_says_what_it_shows(two, surface_record):
    """A page with a heading and a caption of its own has neither."""
    title = two.layout.title
    assert title.text == "Loss around the minimum"
    examples, policy = "256 training examples", "batch norm: reestimated"
    assert f"{examples}, {policy}" in title.subtitle.text
    assert scene({"sam": surface_record()}).layout.title.text == "Loss around the minimum of SAM"
    assert scene(surface_record(), views=True).layout.title.text is None
