"""Learning curves."""

import numpy as np
import pytest

from landscape.plots import curves


def lines(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 1]


def test_one_line_and_one_band_per_method(curves_record, words):
    figure = curves({"sgd": [curves_record()] * 2, "sam": [curves_record()] * 2})
    assert [len(lines(ax)) for ax in figure.axes] == [2, 2]
    assert [len(ax.collections) for ax in figure.axes] == [2, 2]
    assert [ax.get_ylabel() for ax in figure.axes] == ["training loss", "test accuracy (%)"]
    assert "mean over 2 seeds, band: 95 % t interval" in words(figure)


def test_the_line_is_the_mean(curves_record):
    figure = curves({"sgd": [curves_record((4.0, 2.0)), curves_record((2.0, 1.0))]}, ["train_loss"])
    assert lines(figure.axes[0])[0].get_ydata().tolist() == [3.0, 1.5]


def test_one_seed_has_no_band_and_says_so(curves_record, words):
    figure = curves({"sgd": curves_record()})
    assert not figure.axes[0].collections
    assert "1 seed: no band" in words(figure)


def test_a_diverged_run_stays_out_of_the_mean_and_is_seen(curves_record, words):
    broken = curves_record((2.0, 9.0, np.nan, np.nan), (0.1, 0.1, np.nan, np.nan))
    figure = curves({"sgd": [curves_record(), curves_record(), broken]})
    mean, thin = lines(figure.axes[0])[::-1]
    assert mean.get_ydata().tolist() == [2.0, 1.0, 0.5, 0.25]
    assert thin.get_ydata().tolist() == [2.0, 9.0]
    cross = next(line for line in figure.axes[0].get_lines() if line.get_marker() == "x")
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (1.0, 9.0)
    assert "×: where a run diverged or stopped" in words(figure)


def test_methods_may_run_for_different_numbers_of_epochs(curves_record):
    """Equal passes: SAM has half the epochs of SGD and is whole all the same."""
    figure = curves(
        {"sgd": curves_record(), "sam": curves_record((2.0, 1.0), (0.1, 0.5))}, ["train_loss"]
    )
    assert [len(line.get_xdata()) for line in lines(figure.axes[0])] == [4, 2]


def test_without_accuracy_the_panel_says_so(curves_record, words):
    figure = curves(curves_record(accuracy=(np.nan,) * 4))
    assert "not computed for this task" in words(figure)


def test_huge_losses_get_a_logarithmic_axis(curves_record):
    assert curves(curves_record((1e9, 1.0, 0.1, 1e-3))).axes[0].get_yscale() == "log"


@pytest.mark.parametrize("against, last", [("epoch", 3.0), ("grad_evals", 60.0), ("seconds", 4.5)])
def test_axis_of_progress(curves_record, against, last):
    figure = curves(curves_record(), against=against)
    assert lines(figure.axes[0])[0].get_xdata()[-1] == last


def test_an_unknown_axis_is_refused(curves_record):
    with pytest.raises(ValueError, match=r"`against` must be one of epoch, grad_evals, seconds"):
        curves(curves_record(), against="steps")
