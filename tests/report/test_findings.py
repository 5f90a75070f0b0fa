"""The findings in words."""

import math
from dataclasses import replace

import numpy as np
import pytest

from landscape.report import findings
from landscape.report.key_numbers import key_numbers
from landscape.report.page import page as page_around
from landscape.report.print_tables import latex, markdown


def about(contents):
    return {finding.about: finding.text for finding in findings.paragraphs(contents)}


@pytest.fixture(scope="module")
def nine(make_contents):
    return make_contents(size=9)


def test_findings_name_who_differs_by_how_much(nine):
    words = about(nine)["Test accuracy (percentage points)"]
    assert words.startswith("Significantly higher (better) than SGD: mSAM, ")
    assert "Significantly lower (worse) than SGD: AdamW, −0.5" in words
    assert "Not significant: AACE, +" in words
    assert "λ max of the Hessian" in about(nine)


def test_an_interval_beside_zero_that_holm_does_not_bear_out_is_told_apart(nine):
    record = nine.comparison
    i, j = list(record.metrics).index("test_accuracy"), list(record.methods).index("sam")
    holm_p = record.holm_p.copy()
    holm_p[i, j] = 0.06
    assert record.difference_low[i, j] > 0
    changed = replace(nine, comparison=replace(record, holm_p=holm_p, direction=None))
    words = about(changed)["Test accuracy (percentage points)"]
    assert "Not significant: AACE, +" in words
    assert "Not significant after Holm’s correction over the methods: SAM, +" in words


def test_diverged_runs_are_told_with_their_bias(nine):
    assert about(nine)["Runs that diverged"].startswith("AdamW: 1 of 6. ")
    assert "may be too favourable" in about(nine)["Runs that diverged"]


def test_cost_is_a_ratio(nine):
    assert "Lookbehind ×4.00" in about(nine)["Cost"]


def test_nothing_differs(make_contents):
    """The same numbers for both methods, with noise: no word of better or worse."""
    contents = make_contents(methods=("sgd", "sam"), seeds=4, diverged=(), size=5)
    record = contents.comparison
    record.difference_low[:, 1], record.difference_high[:, 1] = -1.0, 1.0
    contents = replace(contents, comparison=replace(record, direction=None))
    everything = " ".join(finding.text for finding in findings.paragraphs(contents))
    assert "better" not in everything and "worse" not in everything
    assert "Not significant: SAM" in everything


def test_one_seed(make_contents):
    contents = make_contents(methods=("sgd", "sam"), seeds=1, diverged=(), size=5)
    assert set(about(contents)) == {"Cost"}


def test_all_diverged(make_contents):
    every = [(method, seed) for method in ("sgd", "sam") for seed in range(2)]
    contents = make_contents(methods=("sgd", "sam"), seeds=2, diverged=every, size=5)
    assert about(contents) == {"Runs that diverged": "SGD: 2 of 2; SAM: 2 of 2."}


def test_a_baseline_that_diverged_leaves_no_verdict(make_contents):
    gone = [("sgd", seed) for seed in range(3)]
    contents = make_contents(methods=("sgd", "sam"), seeds=3, diverged=gone, size=5)
    assert "Too few runs to tell: SAM." in about(contents)["λ max of the Hessian"]


POSITIVE, NEGATIVE, NEITHER = (0.2, 0.8), (-0.8, -0.2), (-0.1, 0.6)


@pytest.mark.parametrize(
    "tau, over_all, within, words",
    [
        (0.5, POSITIVE, POSITIVE, "larger values go with a larger gap"),
        (-0.5, NEGATIVE, NEGATIVE, "larger values go with a smaller gap"),
        (0.5, POSITIVE, NEITHER, "positive over all minima, not shown within methods"),
        (0.5, POSITIVE, NEGATIVE, "positive over all minima, negative within methods"),
        (-0.5, NEGATIVE, NEITHER, "negative over all minima, not shown within methods"),
        (0.5, POSITIVE, (math.nan, math.nan), "positive over all minima, not shown within methods"),
        (0.3, NEITHER, POSITIVE, "no association shown"),
        (0.3, (math.nan, math.nan), POSITIVE, "no interval, no verdict"),
        (math.nan, (math.nan, math.nan), POSITIVE, "not computed"),
    ],
)
def test_an_association_needs_an_interval_within_methods(nine, tau, over_all, within, words):
    values = (tau, *over_all, *within)
    names = ("tau", "tau_low", "tau_high", "within_tau_low", "within_tau_high")
    changes = {name: np.full(4, value) for name, value in zip(names, values, strict=True)}
    assert findings.association(replace(nine.comparison, **changes), 2) == words


def test_a_record_from_before_intervals_within_methods_claims_no_direction(nine):
    record = nine.comparison
    assert record.within_tau_low is None and record.tau_low[0] > 0
    assert findings.association(record, 0) == "positive over all minima, not shown within methods"


@pytest.mark.parametrize(
    ("runs_at_once", "words"),
    [(8, "Up to 8 runs shared the machine"), (None, "may have shared the machine"), (1, "")],
)
def test_training_times_of_runs_that_competed_are_qualified(make_contents, runs_at_once, words):
    contents = make_contents(("sgd", "sam"), 2, (), size=5)
    study = replace(contents.study, settings={"runs_at_once": runs_at_once})
    contents = replace(contents, study=study, cells={})
    page = page_around(contents, [])
    table = page[page.index('id="table"') : page.index("</section>", page.index('id="table"'))]
    for text in (about(contents)["Cost"], table, markdown(contents), latex(contents)):
        assert words in text if words else "shared the machine" not in text


def test_a_baseline_without_a_cost_leaves_no_ratio(make_contents):
    contents = make_contents(methods=("sgd", "sam"), seeds=2, diverged=(), size=5)
    for metric in ("grad_evals", "seconds"):
        contents.comparison.mean[list(contents.comparison.metrics).index(metric), 0] = 0.0
    assert "Cost" not in about(contents)
    assert not any("gradient" in card.about for card in key_numbers(contents))
