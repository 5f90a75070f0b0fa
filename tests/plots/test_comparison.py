"""Dots with intervals."""

import numpy as np
import pytest

from landscape.plots import comparison, differences
from landscape.plots.drawing.style import BASELINE, HIGHER, INK, NOT_SHOWN


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
    assert [d.get_color() for d in dots(sharpness).values()][:2] == [BASELINE, INK]
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
    assert sam.get_markerfacecolor() == sam.get_color() == HIGHER
    for hollow in (fam, aace):
        assert hollow.get_color() == NOT_SHOWN != hollow.get_markerfacecolor()
    assert sam.get_xdata()[0] == pytest.approx(2.0)
    assert ax.get_xlabel() == "Δ test accuracy (percentage points)"


def test_one_seed_draws_no_bar(comparison_record, words):
    for array in (comparison_record.low, comparison_record.high):
        array[:] = np.nan
    comparison_record.n[:] = 1
    figure = comparison(comparison_record)
    assert not figure.axes[0].collections
    assert "1 seed, no interval" in words(figure)


def test_a_wide_interval_leaves_the_panel_with_arrows(comparison_record, words):
    record = comparison_record
    spread = np.ptp(record.mean[0])
    record.low[0], record.high[0] = record.mean[0] - spread / 4, record.mean[0] + spread / 4
    assert "goes on" not in words(comparison(record))
    record.low[0, 3] = record.mean[0, 3] - 20 * spread
    figure = comparison(record)
    ax = figure.axes[0]
    left, right = ax.get_xlim()
    assert left > 100 * record.low[0, 3]
    assert left < 100 * record.low[0, :3].min() and right > 100 * record.high[0].max()
    assert all(left < x.get_xdata()[0] < right for row, x in dots(ax).items() if row != 3)
    arrows = [(line.get_marker(), *line.get_xydata()[0]) for line in ax.get_lines()]
    assert ("<", 0.0, 3.0) in arrows and not any(x == 1.0 for _, x, _ in arrows)
    assert "◂ ▸: goes on" in words(figure)


def test_equal_seeds_and_methods_are_drawn(comparison_record):
    for name in ("mean", "low", "high"):
        getattr(comparison_record, name)[0] = 0.0
    left, right = comparison(comparison_record).axes[0].get_xlim()
    assert left < 0 < right


def test_a_cut_panel_of_differences_keeps_zero(comparison_record):
    record = comparison_record
    record.difference[0, 1:] = 0.2, 0.21, 0.22
    record.difference_low[0, 1:], record.difference_high[0, 1:] = 0.19, (0.21, 0.22, 9.0)
    left, right = differences(record).axes[0].get_xlim()
    assert left < 0 < 22 < right < 100


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
