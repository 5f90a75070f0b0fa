"""Granulated correlations: closed forms of a grid, the null band's level, verdicts."""

import itertools
import math

import numpy as np
import pytest

from landscape.statistics import granulated as g
from landscape.statistics.granulated import Granulated, granulated, null_of, verdicts
from landscape.statistics.rank_correlation import RankCorrelation

AXES = {"lr": (0.05, 0.1, 0.2), "batch": (16, 64, 128), "width": (16, 64, 128), "method": (0, 1)}
GRID = np.array(list(itertools.product(*AXES.values())))
SETTINGS = dict(zip(AXES, GRID.T, strict=True))


def gap(seed=0):
    """A gap that rises with the width and falls with lr, and noise."""
    noise = np.random.default_rng(seed).normal(0, 0.01, len(GRID))
    return 0.1 + 1e-3 * SETTINGS["width"] - 0.2 * SETTINGS["lr"] + noise


def answer(measure, target=None, **options):
    target = gap() if target is None else target
    return granulated(measure, target, SETTINGS, **{"resamples": 200, **options})


def psi_of(found, axis):
    return found.psi[found.axes.index(axis)]


def naive_tau(x, y):
    """Count the pairs."""
    agree = tied_x = tied_y = 0
    for i, j in itertools.combinations(range(len(x)), 2):
        agree += np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
        tied_x += x[i] != x[j]
        tied_y += y[i] != y[j]
    return agree / math.sqrt(tied_x * tied_y) if tied_x and tied_y else math.nan


def naive_psi(x, y, axis):
    cells = {}
    for i, row in enumerate(GRID):
        key = tuple(v for name, v in zip(AXES, row, strict=True) if name != axis)
        cells.setdefault(key, []).append(i)
    return np.nanmean([naive_tau(x[rows], y[rows]) for rows in cells.values()])


def test_a_measure_equal_to_the_gap_gives_one():
    found = answer(gap())
    assert found.tau.tau == found.Psi.tau == found.Psi.low == 1
    assert [psi.tau for psi in found.psi] == [1] * 4
    assert found.within == found.between == (1, 1, 1, 1)
    assert found.share_positive == 1
    assert found.p == pytest.approx(1 / 1001)
    assert found.band[1] < 0.35


def test_every_axis_against_counted_pairs():
    x, y = np.random.default_rng(3).normal(size=(2, len(GRID)))
    found = answer(x, y)
    expected = [naive_psi(x, y, axis) for axis in AXES]
    assert [psi.tau for psi in found.psi] == pytest.approx(expected)
    assert found.Psi.tau == pytest.approx(np.mean(expected))
    assert found.tau.tau == pytest.approx(naive_tau(x, y))
    inside = [naive_tau(x[SETTINGS["lr"] == lr], y[SETTINGS["lr"] == lr]) for lr in AXES["lr"]]
    assert found.within[0] == pytest.approx(np.mean(inside))
    means = [[v[SETTINGS["lr"] == lr].mean() for lr in AXES["lr"]] for v in (x, y)]
    assert found.between[0] == pytest.approx(naive_tau(*means))


def test_a_permuted_measure_lies_in_its_band_in_95_percent():
    y, generator = gap(), np.random.default_rng(0)
    others = [[j for j in range(4) if j != i] for i in range(4)]
    cells = [np.unique(GRID[:, o], axis=0, return_inverse=True)[1].ravel() for o in others]
    low, high = np.quantile(null_of(generator.permutation(y), y, cells), [0.025, 0.975])
    permuted = (generator.permutation(y) for _ in range(200))
    found = [np.mean([naive_fast(x, y, c) for c in cells]) for x in permuted]
    inside = sum(low <= psi <= high for psi in found)
    assert 181 <= inside <= 199  # 190 expected, within three standard errors


def naive_fast(x, y, cells):
    """ψ by signs of all pairs of a cell; nothing is tied."""
    same = (cells[:, None] == cells) & ~np.eye(len(x), dtype=bool)
    signs = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)
    return signs[same].mean()


def test_a_function_of_the_width():
    """ψ of the width is that of the gap's order, the others are undefined, and so left out."""
    found = answer(SETTINGS["width"], 1e-3 * SETTINGS["width"])
    assert psi_of(found, "width").tau == found.Psi.tau == 1
    for axis in ("lr", "batch", "method"):
        assert psi_of(found, axis).n == 0
        assert math.isnan(psi_of(found, axis).tau)
    assert found.share_positive == 1
    assert found.worst[0] == "width"


def test_a_gap_shifted_between_learning_rates_has_a_larger_psi_than_tau():
    y = gap()
    found = answer(y + 10 * SETTINGS["lr"], y)
    assert found.Psi.tau > found.tau.tau + 0.2
    assert found.worst[0] == "lr"
    assert found.share_positive == 0.75
    assert verdicts([found])[0][0] == g.UNDECIDED  # its worst axis is significantly negative


def test_what_follows_from_the_nuisance_has_no_partial_correlation():
    z = np.random.default_rng(1).normal(size=len(GRID))
    assert math.isnan(answer(np.exp(z), nuisance=z).partial.tau)
    assert answer(gap(), nuisance=z).partial.tau == 1
    x, y = z + 0.3 * np.random.default_rng(2).normal(size=(2, len(GRID)))
    assert answer(x, y).tau.tau > 0.6
    assert abs(answer(x, y, nuisance=z).partial.tau) < 0.3
    assert math.isnan(answer(gap()).partial.tau)


def test_seeds_of_a_setting_are_one_draw_and_cells_hold_one_seed():
    """A measure that differs between seeds alone says nothing, whatever the gap does there."""
    twice = {name: np.tile(values, 2) for name, values in SETTINGS.items()}
    seeds = np.repeat([0, 1], len(GRID))
    found = granulated(seeds, np.tile(gap(), 2) + seeds, twice, seeds, resamples=50)
    assert found.Psi.n == 0
    assert math.isnan(found.p)
    y = np.tile(gap(), 2) + seeds
    one, two = answer(gap(), resamples=50), granulated(y, y, twice, seeds, resamples=50)
    assert one.Psi.draws == two.Psi.draws == len(GRID)


def test_networks_that_are_missing_are_left_out():
    x, y = gap(), gap()
    x[:10] = np.nan
    found = answer(x, y)
    assert found.tau.n == len(GRID) - 10
    assert found.Psi.tau == 1


def made(p, whole, worst):
    correlation = [RankCorrelation(*values, 10, 10) for values in (whole, worst)]
    nothing = RankCorrelation(*[math.nan] * 3, 0, 0)
    return Granulated(
        correlation[0], ("a", "b"), (correlation[1], correlation[0]), correlation[0],
        (1.0, 1.0), (1.0, 1.0), nothing, (-0.1, 0.1), p,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("p", "whole", "worst", "verdict"),
    [
        (0.001, (0.4, 0.3, 0.5), (0.1, -0.1, 0.3), g.PREDICTS),
        (0.001, (0.4, 0.3, 0.5), (-0.3, -0.5, -0.1), g.UNDECIDED),
        (0.001, (-0.4, -0.5, -0.3), (-0.4, -0.5, -0.3), g.UNDECIDED),
        (0.3, (0.05, -0.1, 0.19), (0.0, -0.2, 0.2), g.DOES_NOT),
        (0.3, (0.05, -0.1, 0.21), (0.0, -0.2, 0.2), g.UNDECIDED),
        (0.001, (0.1, 0.05, 0.15), (0.05, 0.0, 0.1), g.PREDICTS),
    ],
)
def test_verdicts(p, whole, worst, verdict):
    assert verdicts([made(p, whole, worst)]) == [(verdict, p)]


def test_verdicts_are_read_together():
    """Holm: 0.03 alone is significant, beside another 0.03 it is 0.06."""
    strong = made(0.03, (0.4, 0.3, 0.5), (0.1, -0.1, 0.3))
    assert verdicts([strong]) == [(g.PREDICTS, 0.03)]
    assert verdicts([strong, strong]) == [(g.UNDECIDED, 0.06)] * 2


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="must be of one length"):
        granulated([1.0], [1.0, 2.0], {"lr": [1, 2]})
