"""Planted studies: who differs is named, who does not is not, however often one looks."""

import numpy as np
import pytest

from landscape.records import METRICS, StudyRecord
from landscape.report.verdict import verdict
from landscape.statistics.minima import compare_minima

pytestmark = pytest.mark.slow  # runs the program from end to end

METHODS = ("sgd", "sam", "asam", "msam", "fam")


def planted(effects, seeds=6, generator=None, spread=1.0):
    """Test accuracy of SGD plus an effect, with a shift by seed that all methods share."""
    generator = generator or np.random.default_rng(0)
    names = METHODS[: len(effects)]
    table = np.full((len(METRICS), len(names), seeds), np.nan)
    noise = spread * generator.normal(size=(len(names), seeds))
    row = list(METRICS).index("test_accuracy")
    table[row] = np.array(effects)[:, None] + 10 * generator.normal(size=seeds) + noise
    return StudyRecord(
        np.array(list(METRICS)), np.array(names), np.arange(seeds), table,
        np.full(noise.shape, "finished"), "t",
    )  # fmt: skip


def kinds(study):
    found = compare_minima(study)
    row = list(METRICS).index("test_accuracy")
    return {
        m: (verdict(found, "test_accuracy", m), found.difference_low[row, j], found.holm_p[row, j])
        for j, m in enumerate(map(str, found.methods))
        if m != found.baseline
    }


def test_a_planted_winner_and_a_planted_loser_are_found():
    """Effects of 8 and −8 spreads, under a shift by seed ten times the spread."""
    found = {m: v.kind for m, (v, _, _) in kinds(planted([0.0, 8.0, -8.0, 0.0])).items()}
    assert (found["sam"], found["asam"], found["msam"]) == ("higher", "lower", "undecided")


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_no_winner_where_the_interval_spans_zero(seeds):
    """200 studies without any effect: never a direction with an interval that spans zero, and in
    at most 5 % of them any direction at all, Holm over the four (4 binomial standard errors).
    """
    generator, named = np.random.default_rng(seeds), 0
    for _ in range(200):
        study = planted([0.0] * 5, seeds, generator)
        found = compare_minima(study)
        row = list(METRICS).index("test_accuracy")
        any_named = False
        for j, method in enumerate(METHODS[1:], 1):
            kind = verdict(found, "test_accuracy", method).kind
            low, high = found.difference_low[row, j], found.difference_high[row, j]
            if low <= 0 <= high:
                assert kind == "undecided"
            any_named |= kind in ("higher", "lower")
        named += any_named
    assert named / 200 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)


def test_one_seed_names_nobody():
    assert {v.kind for v, _, _ in kinds(planted([0.0, 100.0], seeds=1)).values()} == {"no interval"}


def test_two_seeds_with_the_same_difference_name_nobody():
    """An interval of width zero is no proof: two pairs can say p = 1/2 at best."""
    (answer,) = kinds(planted([0.0, 5.0], seeds=2, spread=0.0)).values()
    assert answer[1] == pytest.approx(5.0)
    assert answer[0].kind == "undecided"


def test_correlations_within_and_across_methods_with_intervals_over_seeds():
    """Methods with more curvature have a larger gap; inside a method it is the reverse."""
    methods, seeds = np.indices((4, 6))
    table = np.full((len(METRICS), 4, 6), np.nan)
    names = list(METRICS)
    table[names.index("lambda_max")] = 100 * methods + seeds
    table[names.index("generalisation_gap")] = 100 * methods - seeds
    study = StudyRecord(
        np.array(names), np.array(METHODS[:4]), np.arange(6), table,
        np.full((4, 6), "finished"), "t",
    )  # fmt: skip
    found = compare_minima(study)
    i = list(found.measures).index("lambda_max")
    assert (found.within_tau[i], found.within_tau_high[i]) == (-1.0, -1.0)
    assert (found.across_tau[i], found.across_tau_low[i]) == (1.0, 1.0)
    assert found.granulated_tau[i] == 0.0
    assert 0 < found.tau_low[i] <= found.tau[i] <= found.tau_high[i]
    assert np.isnan(found.tau[list(found.measures).index("kappa")])
