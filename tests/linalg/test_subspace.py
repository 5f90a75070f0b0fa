"""The Krylov subspace keeps its promise H V = V C + v cᵀ through growth, breakdown and restart."""

import torch

from landscape.linalg import Subspace

FLOAT = torch.float64


def symmetric(n):
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    return a + a.T


def check(space, h):
    frame = space._rows[: space.size + 1]
    unit = torch.eye(space.size + 1, dtype=FLOAT)
    torch.testing.assert_close(frame @ frame.T, unit, rtol=0, atol=1e-13)
    products = space.projected.T @ space.basis + space.coupling[:, None] * frame[-1]
    torch.testing.assert_close(space.basis @ h, products, rtol=0, atol=1e-12)


def test_growth_and_restart():
    h = symmetric(30)
    space = Subspace(lambda v: h @ v, 30, 12, dtype=FLOAT)
    for _ in range(12):
        space.expand()
        check(space, h)
    assert space.full
    values, weights = torch.linalg.eigh((space.projected + space.projected.T) / 2)
    space.restart(values[-5:], weights[:, -5:], error=0.25)
    assert (space.size, space.floor) == (5, 0.25)
    check(space, h)
    for _ in range(7):
        space.expand()
        check(space, h)
    assert space.matvecs == 19


def test_an_invariant_subspace_goes_on_uncoupled():
    """A projection of rank 1: two vectors hold all that a first direction can reach."""
    u = symmetric(20)[0] / torch.linalg.vector_norm(symmetric(20)[0])
    h = torch.outer(u, u)
    space = Subspace(lambda v: h @ v, 20, 20, dtype=FLOAT)
    for size in range(1, 21):
        space.expand()
        if size < 20:
            check(space, h)
        if size >= 2:
            assert not space.coupling.any()
    assert 0 < space.floor < 1e-14


def test_a_start_of_ones_own():
    start = torch.arange(1.0, 7, dtype=FLOAT)
    space = Subspace(lambda v: v, 6, 6, start=start, dtype=FLOAT)
    space.expand()
    torch.testing.assert_close(space.basis[0], start / torch.linalg.vector_norm(start))
