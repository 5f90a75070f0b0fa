"""Minima and saddles over a surface, and what its caption says of them."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.plots import surface

VALLEYS = np.array(
    [[5, 4, 5, 6, 5], [4, 1, 4, 3, 2], [5, 4, 6, 5, 4], [3, 2, 5, 0, 3], [4, 3, 4, 3, 4]], float
)


@pytest.fixture
def valleys(surface_record):
    axis = (-1.0, -0.5, 0.0, 0.5, 1.0)
    return surface_record(x=axis, y=axis, loss=VALLEYS + 1.0)


def marks(figure, kind):
    return [line for line in figure.axes[0].lines if line.get_marker() == kind]


def test_four_minima_and_three_saddles(valleys, words):
    figure = surface(valleys, minima=True)
    assert len(marks(figure, "v")) == 4
    assert len(marks(figure, "x")) == 2 * 3  # each on a white one
    assert "▼ 4 minima of this plane, × saddles" in words(figure).replace("\n", " ")
    assert "one on the edge may go on outside" in words(figure).replace("\n", " ")
    assert not marks(surface(valleys), "v")


def test_marks_stand_at_their_x_and_y(surface_record):
    """The lowest point of a loss (nx, ny) over axes of other lengths and ranges."""
    x, y = (-1.0, 0.0, 1.0, 2.0), (10.0, 20.0, 30.0)
    loss = np.add.outer((np.array(x) - 2.0) ** 2, (np.array(y) - 10.0) ** 2) + 1.0
    (lowest,) = marks(surface(surface_record(x=x, y=y, loss=loss), minima=True), "v")
    assert (lowest.get_xdata().item(), lowest.get_ydata().item()) == (2.0, 10.0)


def test_those_below_the_noise_are_grey(valleys, words):
    """Twice 1.25 of the loss at w: persistences 2, 2 and 3 stand against it."""
    noisy = replace(valleys, relative_stderr=1.25 / valleys.point.loss)
    figure = surface(noisy, minima=True)
    assert "▼ 2 minima of this plane" in words(figure).replace("\n", " ")
    assert "grey: shallower than twice the standard error" in words(figure).replace("\n", " ")
    sizes = sorted(line.get_markersize() for line in marks(figure, "v"))
    assert sizes == [4, 4, 6, 6]


def test_minima_are_those_of_the_loss(valleys):
    with pytest.raises(ValueError, match="`minima` are those of the loss"):
        surface(valleys, "accuracy", minima=True)
