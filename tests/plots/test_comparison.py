"""Dots with intervals."""

import numpy as np
import pytest

from landscape.plots import comparison, differences
from landscape.plots.style import LOOKS


def dots(ax):
    return {
        round(float(line.get_ydata()[0])): line
        for line in ax.get_lines()
        if line.get_marker() != "None"
    }


def test_a_dot_and_a_bar_per_method(comparison_record, words):
    figure = comparison(comparison_record)
    accuracy, sharpness = figure.axes
    assert [ax.get_xlabel() for ax in figure.axes] == ["test accuracy (%)", "λ max of the Hessian"]
    assert dots(accuracy)[1].get_xdata()[0] == pytest.approx(92.0)
    assert len(accuracy.collections) == 4
    assert dots(sharpness)[1].get_color() == LOOKS["sam"].colour
    assert [label.get_text() for label in accuracy.get_yticklabels()] == [
        "SGD",
        "SAM",
        "FAM",
        "AACE",
    ]
    assert "95 % t interval" in words(figure)


def test_differences_leave_the_baseline_out_and_fill_what_holds(comparison_record):
    ax = differences(comparison_record).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["SAM", "FAM", "AACE"]
    sam, fam, aace = (dots(ax)[row] for row in range(3))
    assert sam.get_markerfacecolor() == LOOKS["sam"].colour
    assert fam.get_markerfacecolor() != LOOKS["fam"].colour
    assert aace.get_markerfacecolor() != LOOKS["aace"].colour
    assert sam.get_xdata()[0] == pytest.approx(2.0)
    assert ax.get_xlabel() == "Δ test accuracy (percentage points)"


def test_one_seed_draws_no_bar(comparison_record, words):
    for array in (comparison_record.low, comparison_record.high):
        array[:] = np.nan
    comparison_record.n[:] = 1
    figure = comparison(comparison_record)
    assert not figure.axes[0].collections
    assert "1 seed, no interval" in words(figure)


def test_a_method_without_a_number_gets_a_dash(comparison_record, words):
    comparison_record.mean[0, 2] = np.nan
    figure = comparison(comparison_record, ["test_accuracy"])
    assert 2 not in dots(figure.axes[0])
    assert "–" in words(figure).splitlines()


def test_an_unknown_metric_is_refused(comparison_record):
    with pytest.raises(
        ValueError, match=r"`metrics` must be among test_accuracy, lambda_max. Got 'x'"
    ):
        comparison(comparison_record, ["x"])
