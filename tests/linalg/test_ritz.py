"""The error statements of Ritz pairs, on numbers set by hand."""

import math

import pytest
import torch

from landscape.linalg import Subspace
from landscape.linalg.ritz import Ritz

FLOAT = torch.float64
NONE = torch.empty(0, dtype=FLOAT)


def pairs(values, residuals, bounds):
    """Ritz pairs in the order given; only what `settled` reads is set."""
    values, residuals, bounds = (torch.tensor(x, dtype=FLOAT) for x in (values, residuals, bounds))
    zero = torch.zeros_like(values)
    return Ritz(values, zero, values.clone(), residuals, zero, bounds, zero, 1.0, zero)


@pytest.mark.parametrize(
    "which, values, rival_residual, expected",
    [
        ("largest", [5.0, 4.0, 3.0], 0.5, [True, True]),
        ("largest", [5.0, 4.0, 3.0], 1.5, [True, False]),
        ("largest", [5.0, 4.0, 3.0], 2.5, [False, False]),
        ("smallest", [-5.0, -4.0, -3.0], 0.5, [True, True]),
        ("smallest", [-5.0, -4.0, -3.0], 1.5, [True, False]),
        ("magnitude", [5.0, 4.0, -3.0], 1.5, [True, False]),
        ("magnitude", [5.0, 4.0, 3.0], 1.5, [True, False]),
        ("both", [5.0, -5.0, 1.0], 5.0, [False, True]),
        ("both", [5.0, -5.0, -1.0], 5.0, [True, False]),
    ],
)
def test_a_rival_with_room_to_pass_unsettles(which, values, rival_residual, expected):
    ritz = pairs(values, [0.0, 0.0, rival_residual], [0.0, 0.0, math.inf])
    assert ritz.settled(2, which, slack=0.1).tolist() == expected


def test_only_a_small_bound_settles():
    ritz = pairs([5.0, 4.0], [0.0, 0.0], [0.1, 0.2])
    assert ritz.settled(2, "largest", slack=0.1).tolist() == [True, False]


def test_bounds_by_hand():
    """H = diag(4, 0), v = (√.9, √.1): θ = 3.6, r = 1.2. Both vectors in: exact."""
    h = torch.tensor([4.0, 0.0], dtype=FLOAT)
    start = torch.tensor([0.9, 0.1], dtype=FLOAT).sqrt()
    space = Subspace(lambda v: h * v, 2, 2, start=start, dtype=FLOAT)
    space.expand()
    one = Ritz.of(space, "largest", NONE)
    assert one.values.tolist() == pytest.approx([3.6])
    assert one.residuals.tolist() == pytest.approx([1.2])
    assert one.bounds.tolist() == [math.inf], "never seen before: rank unknown"
    assert one.estimates.tolist() == pytest.approx([1.2]), "no second value: no gap"
    again = Ritz.of(space, "largest", torch.tensor([1.6], dtype=FLOAT))
    assert again.bounds.tolist() == pytest.approx([2.0]), "moved by 2"
    space.expand()
    two = Ritz.of(space, "largest", one.strength)
    assert two.values.tolist() == pytest.approx([4.0, 0.0], abs=1e-14)
    assert two.bounds.max() < 1e-13


def test_estimate_by_hand():
    """Two vectors in C³ with T = diag(2, −1) and coupling (0.3, 0.6): r²/gap = 0.09/(3 − 0.6)."""
    space = Subspace(lambda v: v, 3, 3, dtype=FLOAT)
    space.size = 2
    space._projected[:2, :2] = torch.diag(torch.tensor([2.0, -1.0], dtype=FLOAT))
    space._projected[2, :2] = torch.tensor([0.3, 0.6], dtype=FLOAT)
    ritz = Ritz.of(space, "magnitude", NONE)
    assert ritz.values.tolist() == pytest.approx([2.0, -1.0])
    assert ritz.estimates.tolist() == pytest.approx([0.09 / 2.4, 0.36 / 2.7])


@pytest.mark.parametrize(
    "which, expected",
    [
        ("magnitude", [-3.0, 2.0, -1.0, 0.5]),
        ("largest", [2.0, 0.5, -1.0, -3.0]),
        ("smallest", [-3.0, -1.0, 0.5, 2.0]),
        ("both", [2.0, -3.0, 0.5, -1.0]),
    ],
)
def test_the_most_wanted_come_first(which, expected):
    h = torch.tensor([0.5, -3.0, 2.0, -1.0], dtype=FLOAT)
    space = Subspace(lambda v: h * v, 4, 4, dtype=FLOAT)
    for _ in range(4):
        space.expand()
    assert Ritz.of(space, which, NONE).values.tolist() == pytest.approx(expected, abs=1e-13)
