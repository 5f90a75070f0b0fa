"""The surface as a height, for paper."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from landscape.plots import one_column, relief
from landscape.plots.drawing.annotations import CROSS


def faces(ax):
    """Centres of the drawn faces, (k, 3)."""
    (drawn,) = (c for c in ax.collections if isinstance(c, Poly3DCollection))
    return np.array([np.mean(face, axis=0) for face in drawn._faces]), drawn


def test_heights_stand_where_they_were_measured(surface_record):
    """L grows with x alone, over 3 x 5 points: log10 of it is the height, whatever y."""
    record = surface_record(loss=np.array([[1.0], [10.0], [100.0]]).repeat(5, axis=1))
    figure = relief(record)
    centres, drawn = faces(figure.axes[0])
    assert len(centres) == 2 * 4
    np.testing.assert_allclose(centres[:, 2], 1.0 + centres[:, 0], atol=1e-9)
    assert np.ptp(centres[:, 1]) == 3.0
    assert drawn.get_clim() == (0.0, 2.0) == figure.axes[0].get_zlim()
    assert figure.axes[0].get_zlabel() == "loss, logarithmic"


def test_the_dot_is_at_the_weights(surface_record):
    record = surface_record(position=np.array([1.0, -2.0]))
    (dot,) = (line for line in relief(record).axes[0].lines if line.get_color() == CROSS)
    assert [float(v[0]) for v in dot.get_data_3d()] == pytest.approx(
        [1.0, -2.0, np.log10(0.01 + 1.0 + 0.4)]
    )


def test_one_scale_for_all_and_what_exploded_is_cut(surface_record):
    wild = surface_record()
    wild.loss[2, 4], wild.loss[0, 0] = 1e30, np.nan
    figure = relief({"sgd": wild, "sam": surface_record(2.0)})
    assert [ax.get_title() for ax in figure.axes] == ["SGD", "SAM"]
    assert figure.axes[0].get_zlim() == figure.axes[1].get_zlim()
    assert figure.axes[0].get_zlim()[1] < 2
    centres, _ = faces(figure.axes[0])
    assert np.nanmax(centres[:, 2]) <= figure.axes[0].get_zlim()[1]


def test_accuracy_in_percent_with_dark_as_good(surface_record):
    figure = relief(surface_record(), "accuracy")
    _, drawn = faces(figure.axes[0])
    assert drawn.get_cmap().name.endswith("_r")
    assert figure.axes[0].get_zlabel() == "accuracy (%)"


def test_axes_of_the_caller_and_one_column(surface_record):
    mine = Figure().add_subplot(projection="3d")
    assert relief(surface_record(), ax=mine) is mine.get_figure()
    with pytest.raises(ValueError, match='projection="3d"'):
        relief(surface_record(), ax=Figure().subplots())
    with pytest.raises(ValueError, match="`quantity` must be loss or accuracy"):
        relief(surface_record(), "lost")
    with one_column():
        assert relief({"sgd": surface_record(), "sam": surface_record()}).get_figwidth() == 3.4
