"""Key numbers and dots of the first screen: those of the record, shown only where it says so."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.report.contents import flattest_first
from landscape.report.dots import dots
from landscape.report.key_numbers import key_numbers
from landscape.report.verdict import cell


@pytest.fixture(scope="module")
def nine(make_contents):
    return flattest_first(make_contents(size=5))


def at(record, name, metric, method):
    i, j = list(record.metrics).index(metric), list(record.methods).index(method)
    return getattr(record, name)[i, j]


def undecided(contents, metric, holm_p):
    """The same with no difference shown in a metric."""
    record = contents.comparison
    i = list(record.metrics).index(metric)
    adjusted = record.holm_p.copy()
    adjusted[i] = holm_p
    return replace(contents, comparison=replace(record, holm_p=adjusted, direction=None))


def test_methods_stand_by_their_lambda_max_the_baseline_among_them(nine, make_contents):
    before = make_contents(size=5)
    i = list(nine.comparison.metrics).index("lambda_max")
    means = nine.comparison.mean[i]
    assert (np.diff(means) >= 0).all() and nine.methods.index("sgd") == 7
    for method in before.methods:
        for metric in before.computed:
            assert cell(before, metric, method) == cell(nine, metric, method)
            np.testing.assert_array_equal(
                before.study.values(metric, method), nine.study.values(metric, method)
            )
        assert before.count(method, "diverged") == nine.count(method, "diverged")
    gone = make_contents(metrics=("test_accuracy", "generalisation_gap"), size=5)
    assert flattest_first(gone) is gone


def test_the_largest_change_that_is_shown(nine):
    card = key_numbers(nine)[0]
    record = nine.comparison
    assert card.about == "λ max, from SGD to mSAM"
    before, after = card.number.split(" → ")
    assert float(before) == pytest.approx(at(record, "mean", "lambda_max", "sgd"), abs=0.05)
    assert float(after) == pytest.approx(at(record, "mean", "lambda_max", "msam"), abs=0.05)
    for method, words in (("sgd", before), ("msam", after)):
        assert cell(nine, "lambda_max", method).value.startswith(f"{words} ±")
    difference = at(record, "difference", "lambda_max", "msam")
    assert f"difference −{abs(difference):.1f} [" in card.detail


def test_where_nothing_is_shown_no_change_is_named(nine):
    cards = key_numbers(undecided(undecided(nine, "lambda_max", 0.2), "test_accuracy", 0.3))
    assert (cards[0].number, cards[0].about) == ("none", "shown to differ from SGD in λ max")
    assert "not shown after Holm’s correction" in cards[0].detail
    assert cards[1].number == "0 of 8"
    assert "points [" in cards[1].detail and "not shown" in cards[1].detail


def test_the_nearest_miss_is_on_the_better_side(nine):
    record = nine.comparison
    card = key_numbers(nine)[1]
    assert card.number == "6 of 8" and card.detail.startswith("AACE +")
    i = list(record.metrics).index("test_accuracy")
    worse = replace(record, difference=record.difference.copy())
    worse.difference[i, list(record.methods).index("aace")] = -0.001
    detail = key_numbers(replace(nine, comparison=worse))[1].detail
    assert detail.endswith("the largest difference") and "AACE" not in detail


@pytest.mark.parametrize(("at_once", "where"), [(1, ")"), (4, " on a shared machine)")])
def test_time_is_told_where_gradients_mislead(nine, at_once, where):
    record = nine.comparison
    mean = record.mean.copy()
    metrics, methods = list(record.metrics), list(record.methods)
    mean[metrics.index("seconds")] = mean[metrics.index("grad_evals")]
    mean[metrics.index("seconds"), methods.index("adamw")] *= 3.0
    study = replace(nine.study, settings={"runs_at_once": at_once})
    contents = replace(nine, study=study, comparison=replace(record, mean=mean))
    card = key_numbers(contents)[-1]
    assert card.number == "1–4×" and card.about == "SGD’s gradient evaluations"
    assert f"AdamW 1× (but 3.0× the time{where}" in card.detail and "Lookbehind 4×" in card.detail
    assert "FAM" not in card.detail


def test_dots_stand_where_the_record_says(nine):
    plot = dots(nine)
    record = nine.comparison
    assert [column.metric for column in plot.columns] == [
        "lambda_max",
        "test_loss",
        "test_accuracy",
    ]
    assert [column.spare for column in plot.columns] == [False, True, False]
    assert "SGD" not in plot.methods and len(plot.methods) == 8
    others = [m for m in nine.methods if m != "sgd"]
    for column in plot.columns:
        values = {m: at(record, "difference", column.metric, m) for m in others}
        places = np.array([dot.at for dot in column.dots])
        slope = np.polyfit(list(values.values()), places, 1)
        np.testing.assert_allclose(np.polyval(slope, list(values.values())), places, atol=0.02)
        assert np.polyval(slope, 0.0) == pytest.approx(column.zero, abs=0.02)
        for method, dot in zip(others, column.dots, strict=True):
            shown = at(record, "direction", column.metric, method)
            assert dot.kind == {1: "higher", -1: "lower", 0: "undecided"}[shown]
        assert all(0 <= tick <= 100 for tick, _ in column.ticks)
        assert "0" in [text for _, text in column.ticks]


def test_one_seed_and_missing_runs_have_no_bar_and_no_verdict(make_contents):
    plot = dots(make_contents(("sgd", "sam"), 1, (), size=5))
    assert plot.kinds == {"no interval"} and np.isnan(plot.columns[0].dots[0].start)
    gone = [("sam", seed) for seed in range(3)]
    plot = dots(make_contents(("sgd", "sam", "fam"), 3, gone, size=5))
    assert [dot.kind == "missing" for dot in plot.columns[0].dots] == [True, False]
    assert dots(make_contents(("sgd",), 2, (), size=5)) is None


def test_a_wide_interval_leaves_the_axis_with_an_arrow(nine):
    record = nine.comparison
    i, j = list(record.metrics).index("lambda_max"), list(record.methods).index("fam")
    low, high = record.difference_low.copy(), record.difference_high.copy()
    low[i, j], high[i, j] = -900.0, 900.0
    wide = replace(record, difference_low=low, difference_high=high, direction=None)
    column = dots(replace(nine, comparison=wide)).columns[0]
    dot = column.dots[[m for m in nine.methods if m != "sgd"].index("fam")]
    assert dot.beyond == ("left", "right") and (dot.start, dot.end) == (0.0, 100.0)
    assert dot.kind == "undecided"
    assert np.ptp([d.at for d in column.dots]) > 30
