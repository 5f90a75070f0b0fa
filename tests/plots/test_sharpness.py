"""Sharpness over the radius."""

import numpy as np
import pytest

from landscape.plots import sharpness
from landscape.records import SharpnessRecord

T_1 = 12.706204736432095  # 97.5 % point of Student's t, 1 degree of freedom


@pytest.fixture
def sharpness_record(point):
    def make(rise=((1.0, 3.0), (2.0, 6.0)), share=(1.0, 1.0), radii=(0.1, 0.2), rule="sam"):
        rise = np.array(rise)
        return SharpnessRecord(
            radii=np.array(radii), sharpness=rise, one_step=rise / 2,
            loss=np.array([10.0, 30.0])[: len(share)], share=np.array(share), rule=rule,
            point=point,
        )  # fmt: skip

    return make


def band(ax):
    return ax.collections[0].get_paths()[0].vertices[:, 1]


def test_rise_and_level_of_one_minimum(sharpness_record, words):
    """Rises 1, 3 and 2, 6; levels 11, 33 and 12, 36: the second band is of the sums."""
    figure = sharpness(sharpness_record())
    rise, level = figure.axes
    assert rise.get_lines()[0].get_ydata().tolist() == [2.0, 4.0]
    assert rise.get_lines()[1].get_ydata().tolist() == [1.0, 2.0]
    assert level.get_lines()[0].get_ydata().tolist() == [22.0, 24.0]
    assert max(band(rise)) == pytest.approx(4.0 + 2 * T_1)
    assert max(band(level)) == pytest.approx(24.0 + 12 * T_1)
    assert "2 batches of up to 1 example, band: 95 % t interval over them" in words(figure)
    assert "lower bound" in words(figure)
    assert "after one step" in words(figure)


def test_several_minima_have_their_band_over_minima(sharpness_record, words):
    records = [sharpness_record(), sharpness_record(rise=((3.0, 5.0), (4.0, 8.0)))]
    figure = sharpness({"sam": records})
    assert figure.axes[0].get_lines()[0].get_ydata().tolist() == [3.0, 5.0]
    assert max(band(figure.axes[0])) == pytest.approx(5.0 + T_1)
    assert "over 2 seeds" in words(figure)


def test_batches_count_by_their_share(sharpness_record):
    ax = sharpness(sharpness_record(share=(3.0, 1.0))).axes[0]
    assert ax.get_lines()[0].get_ydata().tolist() == [1.5, 3.0]


def test_one_batch_has_no_band(sharpness_record):
    record = sharpness_record(rise=((1.0,), (2.0,)), share=(5.0,))
    assert sharpness(record).axes[0].get_lines()[0].get_ydata().tolist() == [1.0, 2.0]


def test_a_stationary_point_can_be_drawn(sharpness_record):
    assert (
        sharpness(sharpness_record(rise=((0.0, 0.0), (0.0, 0.0)))).axes[0].get_yscale() == "linear"
    )


def test_the_ball_is_named(sharpness_record, words):
    assert "radius, ‖e/T‖ ≤ ρ, T = |w| + η" in words(sharpness(sharpness_record(rule="asam")))


def test_radii_of_one_method_must_agree(sharpness_record):
    with pytest.raises(ValueError, match="`records` of sam must share their levels"):
        sharpness({"sam": [sharpness_record(), sharpness_record(radii=(0.1, 0.3))]})
