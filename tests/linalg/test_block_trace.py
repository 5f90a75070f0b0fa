"""The trace by diagonal blocks: what lies outside them does not count, and intervals hold."""

import numpy as np
import pytest
import torch

from landscape.linalg.block_trace import diagonal_blocks, merged
from landscape.linalg.trace import trace

FLOAT = torch.float64
SIZES = [20, 8, 12]
N = sum(SIZES)


def matrix(off=1.0, seed=0):
    """Symmetric (n, n): blocks of decaying eigenvalues, random numbers of scale `off` elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    h = off * torch.randn(N, N, generator=generator, dtype=FLOAT)
    h = (h + h.T) / 2
    start = 0
    for size in SIZES:
        q = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=FLOAT)).Q
        values = 5 * torch.arange(1.0, size + 1, dtype=FLOAT) ** -1.5
        h[start : start + size, start : start + size] = q * values @ q.T
        start += size
    return h


def estimated(h, **settings):
    return trace(lambda v: h @ v, h[0], blocks=SIZES, **settings)


def test_what_lies_outside_the_blocks_changes_nothing():
    one, other = (estimated(matrix(off), tolerance=0.1) for off in (0.0, 10.0))
    assert one == other


def test_blocks_need_fewer_products_than_the_whole():
    h = matrix(10.0)
    whole = trace(lambda v: h @ v, h[0], tolerance=0.2)
    blocks = estimated(h, tolerance=0.2)
    assert blocks.converged and whole.converged
    assert whole.deflated == N  # not one direction is worth its product
    assert blocks.matvecs < 0.7 * whole.matvecs


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_early_directions_follow_the_basis_without_a_product(steps):
    """P H P x written out, for x of the complement's sphere."""
    h = matrix()
    (block,) = diagonal_blocks(lambda v: h @ v, h[0], [N], 20, 2**30, 0)
    for _ in range(steps):
        block.grow()
    v = block.space.basis
    p = torch.eye(N, dtype=FLOAT) - v.T @ v
    forms = []
    for x, image in block._early:
        torch.testing.assert_close(p @ x, x)
        torch.testing.assert_close(p @ h @ x, image)
        forms.append(float(x @ h @ x / (x @ x)) * (N - steps))
    assert float(block.moments.value) == pytest.approx(np.mean(forms))
    assert block.known == pytest.approx(float((v @ h @ v.T).trace()))
    assert block.draws == 0  # they had a say in the basis


def test_all_of_a_block_is_exact():
    h = matrix()
    found = estimated(h, tolerance=1e-9)
    assert (found.deflated, found.draws) == (N, 6)
    assert found.value == pytest.approx(float(h.trace()), rel=1e-12)
    assert found.converged and found.high > found.low


def test_a_budget_that_is_too_small_is_spent_and_said():
    found = estimated(matrix(), tolerance=1e-4, max_matvecs=40)
    assert found.matvecs == 40 and not found.converged
    assert found.high - found.low > 2e-4 * found.value


def test_small_neighbours_are_merged():
    assert merged([20, 8, 12], 100) == [20, 8, 12]
    assert merged([20, 8, 12], 40) == [20, 20]
    assert merged([20, 8, 12], 20) == [40]
    assert merged([1, 9, 1, 1], 60) == [1, 9, 2]


def coverage(tolerance, seeds):
    h = matrix(3.0)
    exact = float(h.trace())
    found = [estimated(h, tolerance=tolerance, seed=seed) for seed in range(seeds)]
    return np.mean([f.low <= exact <= f.high for f in found])


@pytest.mark.slow
def test_the_interval_holds():
    """120 seeds: 0.89 is three standard deviations below 0.95."""
    assert 0.89 <= coverage(0.2, 120) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.3, 0.1, 0.03])
def test_the_interval_holds_with_stopping_on(tolerance):
    assert coverage(tolerance, 1000) >= 0.93
