"""The learned radius: lines, bands and the balance of signs."""

import numpy as np
import pytest

from landscape.plots import radius
from landscape.records import RadiusRecord


def record(scale=1.0, epochs=3):
    epoch = np.arange(1, epochs + 1)
    return RadiusRecord(epoch, scale * 0.05 * epoch, 0.1 * epoch, -0.1 * epoch, 0.25 * epoch)


def test_one_line_per_method_at_the_mean_over_seeds():
    figure = radius({"lets": [record(1.0), record(3.0)], "lets+asam": [record(10.0)]})
    left, right = figure.axes
    assert left.get_yscale() == "log"
    np.testing.assert_allclose(left.lines[0].get_ydata(), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(left.lines[1].get_ydata(), [0.5, 1.0, 1.5])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [0.25, 0.5, 0.75])
    assert len(left.collections) == 1 and right.get_ylim() == (0, 1)


def test_epochs_that_not_all_seeds_reached_are_left_out():
    figure = radius({"lets": [record(epochs=2), record(epochs=5)]})
    assert len(figure.axes[0].lines[0].get_xdata()) == 2


def test_another_record_is_refused(noise_record):
    with pytest.raises(ValueError, match="must be radius records"):
        radius(noise_record([[1.0, 2.0]] * 3))
