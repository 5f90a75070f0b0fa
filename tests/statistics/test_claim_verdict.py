"""Verdicts on claims: each rule on numbers by hand, and how often a true null is called a gain."""

import math

import numpy as np
import pytest
import scipy.stats

from landscape.statistics.claim_verdict import (
    EXPLAINED,
    FAILS,
    HOLDS,
    KINDS,
    NOT_MEASURED,
    UNDECIDED,
    Evidence,
    Gain,
    gain_of,
    verdict,
)

DELTA = 0.005


def gain(low, high, n=20, p=0.001, needed=5.0):
    return Gain((low + high) / 2, low, high, n, p, p, needed)


def said(kind, low, high, holm_p=0.001, n=20, **circumstances):
    return verdict(gain(low, high, n=n), kind, DELTA, Evidence(holm_p, 20, **circumstances))[0]


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        ("better", 0.001, 0.02, HOLDS),
        ("better", 0.001, 0.002, HOLDS),  # small, yet shown
        ("better", -0.001, 0.02, UNDECIDED),
        ("better", -0.02, 0.0049, FAILS),  # no gain that matters
        ("better", -0.02, 0.0051, UNDECIDED),
        ("not-worse", -0.0049, 0.001, HOLDS),
        ("not-worse", -0.0051, 0.001, UNDECIDED),
        ("not-worse", -0.02, -0.0051, FAILS),
        ("no-matter", -0.0049, 0.0049, HOLDS),
        ("no-matter", -0.0049, 0.0051, UNDECIDED),
        ("no-matter", 0.0051, 0.02, FAILS),
        ("no-matter", -0.02, -0.0051, FAILS),
    ],
)
def test_the_rules(kind, low, high, expected):
    assert said(kind, low, high) == expected


def test_after_holm_it_must_still_be_shown():
    assert said("better", 0.001, 0.02, holm_p=0.06) == UNDECIDED
    assert said("better", 0.001, 0.004, holm_p=0.06) == FAILS
    assert said("not-worse", -0.004, 0.02, holm_p=math.nan) == UNDECIDED


def test_an_undecided_claim_says_what_is_missing():
    decided = {"kind": "better", "margin": DELTA}
    shown = gain(0.001, 0.02)
    cases = [
        (shown, Evidence(0.06, 20), "p is 0.06 after Holm's correction"),
        (gain(-0.001, 0.02, n=4), Evidence(0.06, 4), "5 seeds needed"),
        (gain(-0.001, 0.02), Evidence(0.06, 20), "the interval leaves both open"),
        (gain(0.001, 0.02, n=8), Evidence(0.001, 20), "12 of 20 pairs are missing"),
        (gain(math.nan, math.nan, n=0), Evidence(math.nan, 20, 20), "20 of 20 pairs diverged"),
    ]
    for one, evidence, why in cases:
        assert verdict(one, evidence=evidence, **decided) == (UNDECIDED, why)
    small = verdict(gain(0.001, 0.002), evidence=Evidence(0.001, 20), **decided)
    assert small == (HOLDS, "a gain below the margin")


def test_a_control_that_is_not_beaten_explains_the_gain():
    unbeaten, beaten = gain(-0.001, 0.02), gain(0.001, 0.02)
    assert said("better", 0.001, 0.02, controls=(beaten,)) == HOLDS
    assert said("better", 0.001, 0.02, controls=(beaten, unbeaten)) == EXPLAINED
    assert said("better", 0.001, 0.02, controls=(gain(0.001, 0.02, p=0.2),)) == EXPLAINED
    assert said("better", 0.001, 0.02, controls=(gain(math.nan, math.nan, n=0),)) == HOLDS


def test_a_winner_on_the_edge_may_hold_but_not_fail():
    assert said("better", -0.02, 0.001, on_edge=True) == UNDECIDED
    assert said("better", 0.001, 0.02, on_edge=True) == HOLDS


def test_where_more_than_one_pair_in_six_diverged_nothing_is_decided():
    assert said("better", 0.001, 0.02, diverged=3) == HOLDS
    assert said("better", 0.001, 0.02, diverged=4) == UNDECIDED
    assert said("better", 0.001, 0.02, n=1) == NOT_MEASURED
    assert said("better", 0.001, 0.02, n=17) == HOLDS
    assert said("better", 0.001, 0.02, n=16) == UNDECIDED  # not finished, or not measured


def test_the_p_of_each_kind_against_scipy():
    rng = np.random.default_rng(0)
    b = rng.normal(0.9, 0.01, 12)
    a = b + rng.normal(0.002, 0.004, 12)
    d = a - b
    shifted = [scipy.stats.ttest_1samp(d, null).pvalue for null in (0.0, -DELTA, DELTA)]
    expected = {"better": shifted[0], "not-worse": shifted[1], "no-matter": max(shifted[1:])}
    for kind in KINDS:
        found = gain_of(a, b, kind, DELTA)
        assert found.p == pytest.approx(expected[kind], rel=1e-9)
        assert found.mean == pytest.approx(d.mean())
        assert found.needed == math.ceil((2.8 * d.std(ddof=1) / DELTA) ** 2)


@pytest.mark.parametrize("spread", [0.004, 0.012, 0.04])
def test_seeds_needed_give_four_chances_in_five(spread):
    """With as many seeds as it says a gain of the margin is seen in some 80 % of studies: the
    power of the t test is the upper tail of Student's noncentral t.
    """
    samples = spread * np.array([1.0, -1.0]) / math.sqrt(2)  # of standard deviation `spread`
    n = gain_of(samples, np.zeros(2), "better", DELTA).needed
    seen = scipy.stats.nct.sf(scipy.stats.t.ppf(0.975, n - 1), n - 1, DELTA * math.sqrt(n) / spread)
    assert seen == pytest.approx(0.8, abs=0.03 if n > 20 else 0.2)  # normal, so few seeds have less


@pytest.mark.parametrize(("kind", "truth"), [("better", 0.0), ("not-worse", -DELTA)])
def test_at_the_edge_of_a_null_a_claim_holds_in_one_study_of_forty(kind, truth):
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(1000):
        found = gain_of(rng.normal(truth, 0.01, 6), np.zeros(6), kind, DELTA)
        held += verdict(found, kind, DELTA, Evidence(found.p, 6))[0] == HOLDS
    assert held / 1000 == pytest.approx(0.025, abs=3 * 0.005)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="`kind` must be better, not-worse, no-matter"):
        gain_of([1.0, 2.0], [0.0, 0.0], "best", DELTA)
    with pytest.raises(ValueError, match="`margin` must be positive"):
        gain_of([1.0, 2.0], [0.0, 0.0], "better", 0.0)
