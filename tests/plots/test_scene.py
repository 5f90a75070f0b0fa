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


def test_height_is_the_log_of_the_loss_at_y_x(two, surface_record):
    """plotly wants z[y, x]."""
    np.testing.assert_allclose(two.data[2].z, np.log10(surface_record(1.0).loss).T, rtol=1e-6)
    assert two.data[2].z.shape == (5, 3)


def test_holes_where_the_loss_is_not_finite(surface_record):
    loss = surface_record().loss.copy()
    loss[1, 2] = np.inf
    figure = scene(surface_record(loss=loss))
    assert np.isnan(figure.data[0].z[2, 1])
    assert figure.data[1].z[0] is None
    assert not figure.layout.updatemenus


def test_w_where_it_is_and_a_preview_by_name(surface_record):
    figure = scene(surface_record(position=np.array([1.0, -2.0]), preview=True))
    surface, weights = figure.data
    assert (weights.x[0], weights.y[0]) == (1.0, -2.0)
    assert weights.z[0] == pytest.approx(np.log10(1.41))
    assert "preview" in surface.hovertemplate
