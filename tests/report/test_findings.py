"""The findings in words."""

import math
from dataclasses import replace

import numpy as np
import pytest

from landscape.report import findings


def about(contents):
    return {finding.about: finding.text for finding in findings.paragraphs(contents)}


@pytest.fixture(scope="module")
def nine(make_contents):
    return make_contents(size=9)


def test_headline_counts_what_is_shown_and_what_is_not(nine):
    words = findings.headline(nine)
    assert (
        "Test accuracy, compared with SGD: higher for 6 of 8 other methods and lower for 1" in words
    )
    assert "for 1 no difference is shown" in words
    assert "The price: 1.00 to 4.00 times the gradient evaluations of SGD." in words


def test_findings_name_who_differs_by_how_much(nine):
    words = about(nine)["Test accuracy (percentage points)"]
    assert words.startswith("Higher (better) than SGD: mSAM, ")
    assert "Lower (worse) than SGD: AdamW, −0.5" in words
    assert "No difference shown: AACE, +" in words
    assert "λ max of the Hessian" in about(nine)


def test_an_interval_beside_zero_that_holm_does_not_bear_out_is_told_apart(nine):
    record = nine.comparison
    i, j = list(record.metrics).index("test_accuracy"), list(record.methods).index("sam")
    holm_p = record.holm_p.copy()
    holm_p[i, j] = 0.06
    assert record.difference_low[i, j] > 0
    changed = replace(nine, comparison=replace(record, holm_p=holm_p, direction=None))
    words = about(changed)["Test accuracy (percentage points)"]
    assert "No difference shown: AACE, +" in words
    assert "No difference shown after Holm’s correction over the methods: SAM, +" in words


def test_diverged_runs_are_told_with_their_bias(nine):
    assert about(nine)["Runs that diverged"].startswith("AdamW: 1 of 6. ")
    assert "flatters" in about(nine)["Runs that diverged"]


def test_cost_is_a_ratio(nine):
    assert "Lookbehind ×4.00" in about(nine)["Cost"]


def test_nothing_differs(make_contents):
    """The same numbers for both methods, with noise: no word of better or worse."""
    contents = make_contents(methods=("sgd", "sam"), seeds=4, diverged=(), size=5)
    record = contents.comparison
    record.difference_low[:, 1], record.difference_high[:, 1] = -1.0, 1.0
    contents = replace(contents, comparison=replace(record, direction=None))
    words = findings.headline(contents)
    assert "Test accuracy: no difference from SGD is shown for any method." in words
    everything = " ".join(finding.text for finding in findings.paragraphs(contents))
    assert "better" not in everything and "worse" not in everything
    assert "No difference shown: SAM" in everything


def test_one_seed(make_contents):
    contents = make_contents(methods=("sgd", "sam"), seeds=1, diverged=(), size=5)
    assert findings.headline(contents).startswith("One seed: no interval, no verdict.")
    assert set(about(contents)) == {"Cost"}


def test_all_diverged(make_contents):
    every = [(method, seed) for method in ("sgd", "sam") for seed in range(2)]
    contents = make_contents(methods=("sgd", "sam"), seeds=2, diverged=every, size=5)
    words = findings.headline(contents)
    assert words == "No run finished (4 runs diverged): there is nothing to compare."
    assert about(contents) == {"Runs that diverged": "SGD: 2 of 2; SAM: 2 of 2."}


def test_a_baseline_that_diverged_leaves_no_verdict(make_contents):
    gone = [("sgd", seed) for seed in range(3)]
    contents = make_contents(methods=("sgd", "sam"), seeds=3, diverged=gone, size=5)
    assert "No verdict, too few runs: SAM." in about(contents)["λ max of the Hessian"]


def test_one_method(make_contents):
    contents = make_contents(methods=("sam",), seeds=2, diverged=(), size=5)
    assert findings.headline(contents) == "One method: there is nothing to compare it with."


@pytest.mark.parametrize(
    "triple, words",
    [
        ((0.5, 0.2, 0.8), "larger values go with a larger gap"),
        ((-0.5, -0.8, -0.2), "larger values go with a smaller gap"),
        ((0.3, -0.1, 0.6), "no association shown"),
        ((0.3, math.nan, math.nan), "no interval, no verdict"),
        ((math.nan, math.nan, math.nan), "not computed"),
    ],
)
def test_association(triple, words):
    assert findings.association(*np.array(triple)) == words


def test_a_baseline_without_a_cost_leaves_no_ratio(make_contents):
    contents = make_contents(methods=("sgd", "sam"), seeds=2, diverged=(), size=5)
    for metric in ("grad_evals", "seconds"):
        contents.comparison.mean[list(contents.comparison.metrics).index(metric), 0] = 0.0
    assert "Cost" not in about(contents)
    assert "price" not in findings.headline(contents)
