"""Merge trees against worked grids and a search by flooding that shares no code."""

import numpy as np
import pytest
from scipy import ndimage

from landscape.records.merge_tree import merge_tree

INF = np.inf
F = np.array(
    [[5, 4, 5, 6, 5], [4, 1, 4, 3, 2], [5, 4, 6, 5, 4], [3, 2, 5, 0, 3], [4, 3, 4, 3, 4]], float
)
STRUCTURES = {
    4: [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
    6: [[1, 1, 0], [1, 1, 1], [0, 1, 1]],
    8: [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
}


def places(rows):
    return [tuple(map(int, row)) for row in rows]


@pytest.mark.parametrize("neighbours", [4, 6, 8])
def test_worked_grid(neighbours):
    tree = merge_tree(F, neighbours)
    assert places(tree.minima) == [(3, 3), (1, 1), (1, 4), (3, 1)]
    assert tree.persistence.tolist() == [INF, 3, 2, 2]
    assert places(tree.saddles) == [(-1, -1), (2, 4), (1, 2), (2, 1)]
    assert tree.on_border.tolist() == [False, False, True, False]
    assert tree.span == 6


@pytest.mark.parametrize(
    ("grid", "neighbours", "expected"),
    [
        ([[1, 1], [1, 1]], 6, [INF]),
        ([[0, 1, 0], [1, 1, 1], [0, 1, 0]], 4, [INF, 1, 1, 1]),
        ([[0, 9], [9, 1]], 4, [INF, 8]),
        ([[0, 9], [9, 1]], 6, [INF]),
        ([[0, 9], [9, 1]], 8, [INF]),
        ([[9, 0], [1, 9]], 4, [INF, 8]),
        ([[9, 0], [1, 9]], 6, [INF, 8]),
        ([[9, 0], [1, 9]], 8, [INF]),
    ],
)
def test_small_grids(grid, neighbours, expected):
    assert merge_tree(np.array(grid, float), neighbours).persistence.tolist() == expected


def flooded(values, structure):
    """Persistences by counting components of every sublevel set, level by level."""
    levels, ended, alive = np.unique(values), [], {}
    for level in levels:
        labels, count = ndimage.label(values <= level, structure)
        now = {}
        for label in range(1, count + 1):
            inside = labels == label
            born = values[inside].min()
            held = [b for place, b in alive.items() if inside[place]]
            ended += [level - b for b in sorted(held)[1:]]
            place = tuple(np.argwhere(inside & (values == born))[0])
            now[place] = born
        alive = now
    return sorted(e for e in ended if e > 0)


@pytest.mark.parametrize("neighbours", [4, 6, 8])
@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_flooding(neighbours, seed):
    values = np.random.default_rng(seed).permutation(80).reshape(8, 10).astype(float)
    tree = merge_tree(values, neighbours)
    assert sorted(tree.persistence[1:]) == flooded(values, STRUCTURES[neighbours])


def test_increasing_maps_keep_the_tree():
    values = np.random.default_rng(0).uniform(0.1, 9, (9, 7))
    one, other = merge_tree(values), merge_tree(np.log(values))
    assert places(one.minima) == places(other.minima)
    assert places(one.saddles) == places(other.saddles)


def test_persistences_move_by_at_most_twice_the_change():
    rng = np.random.default_rng(0)
    values = rng.permutation(120).reshape(10, 12).astype(float)
    moved = values + rng.uniform(-0.2, 0.2, values.shape)
    one, other = (sorted(merge_tree(v).persistence[1:]) for v in (values, moved))
    assert np.abs(np.array(one) - np.array(other)).max() <= 0.4


def test_values_that_are_not_finite_are_the_highest():
    values = np.array([[0, np.nan, 1], [np.inf, np.nan, np.nan], [2, np.nan, 3.0]])
    tree = merge_tree(values, 4)
    assert tree.persistence.tolist() == [INF] * 4
    assert tree.span == 3
    with pytest.raises(ValueError, match="needs a finite value"):
        merge_tree(np.full((2, 2), np.nan))


def test_mean_height_of_the_first_saddles():
    """F: the basins of (1, 1) and (3, 1) meet first, at 4; so do the other two."""
    tree = merge_tree(F)
    assert tree.smad == pytest.approx(np.mean([4 - 0, 4 - 1, 4 - 2, 4 - 2]))
    assert np.isnan(merge_tree(np.ones((3, 3))).smad)


def test_above_the_noise():
    assert merge_tree(F).above(2.5).tolist() == [True, True, False, False]


def test_unknown_neighbours():
    with pytest.raises(ValueError, match="`neighbours` must be 4, 6 or 8"):
        merge_tree(F, 5)


@pytest.mark.parametrize("neighbours", [4, 6, 8])
def test_a_plateau_is_one_minimum(neighbours):
    """Its two ends come first in the order of places, and meet at the same value."""
    tree = merge_tree(np.array([[0.0, 9, 0], [0, 0, 0]]), neighbours)
    assert tree.persistence.tolist() == [np.inf]
