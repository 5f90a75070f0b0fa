"""Robustness to noise."""

import numpy as np
import pytest

from landscape.plots import noise

LOSS = [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]


def band(ax):
    return ax.collections[0].get_paths()[0].vertices[:, 1]


def test_one_minimum_has_its_band_over_draws(noise_record, words):
    figure = noise({"sgd": noise_record(LOSS)}, ["loss"])
    ax = figure.axes[0]
    assert ax.get_lines()[0].get_ydata().tolist() == [1.0, 2.0, 4.0]
    assert max(band(ax)) == pytest.approx(4.0 + 2 * 4.302652729911275 / 3**0.5)
    assert "over 3 draws, one minimum per method" in words(figure)


def test_several_minima_have_their_band_over_minima(noise_record, words):
    """Means over draws 4 and 6 at the last level: 5 ± 12.706 · √2/√2."""
    other = noise_record(np.array(LOSS) + 2.0)
    figure = noise({"sgd": [noise_record(LOSS), other]}, ["loss"])
    assert figure.axes[0].get_lines()[0].get_ydata()[-1] == 5.0
    assert max(band(figure.axes[0])) == pytest.approx(5.0 + 12.706204736432095)
    assert "over 2 seeds, 3 draws each" in words(figure)


def test_a_draw_that_is_not_finite_leaves_a_gap(noise_record):
    broken = np.array(LOSS)
    broken[2, 0] = np.inf
    line = noise({"sgd": noise_record(broken)}, ["loss"]).axes[0].get_lines()[0]
    assert np.isfinite(line.get_ydata()).tolist() == [True, True, False]


def test_a_task_without_accuracy(noise_record, words):
    assert "not computed for this task" in words(noise(noise_record(LOSS)))


def test_zero_has_its_place_on_the_axis(noise_record):
    ax = noise(noise_record(LOSS)).axes[1]
    assert 0.0 in ax.get_xticks()
    assert ax.get_xlim()[0] < 0.0
    assert ax.get_xlabel() == "noise σ, in units of the layer's largest |weight|"


def test_huge_losses_get_a_logarithmic_axis(noise_record):
    assert noise(noise_record(np.array(LOSS) ** 9), ["loss"]).axes[0].get_yscale() == "log"


def test_levels_of_one_method_must_agree(noise_record):
    records = [noise_record(LOSS), noise_record(LOSS, sigma=(0.0, 0.1, 0.2))]
    with pytest.raises(ValueError, match=r"`records` of sgd must share their levels."):
        noise({"sgd": records})
