"""The Krylov subspace keeps its promise H V = V C + v cᵀ through growth, breakdown and restart."""

import pytest
import torch

from landscape.linalg import Subspace
from landscape.linalg.subspace import _length

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


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT])
def test_a_local_first_pass_is_as_good_as_two_full_ones(dtype, monkeypatch):
    """Eigenvalues that converge early, where Lanczos loses orthogonality; a restart, a renewal."""
    spectrum = torch.cat([torch.tensor([50.0, 20, -15]), torch.linspace(-1, 1, 397)]).to(dtype)
    eps = torch.finfo(dtype).eps
    ends = []
    for local in (True, False):
        space = Subspace(lambda v: spectrum * v, 400, 60, dtype=dtype)
        if not local:
            monkeypatch.setattr(Subspace, "_local", False)
        for again in (space.restart, space.renew, None):
            while not space.full:
                space.expand()
            gram = space.basis.double() @ space.basis.double().T
            assert (gram - torch.eye(60)).abs().max() <= 20 * eps
            assert (space.projected - space.projected.T).abs().max() <= 20 * eps * 50
            values, weights = torch.linalg.eigh((space.projected + space.projected.T) / 2)
            if again is not None:
                again(values[-20:], weights[:, -20:], 0.0)
        ends.append(values[-2:])
    torch.testing.assert_close(*ends, rtol=0, atol=20 * eps * 50)


def test_which_steps_are_local():
    """The newest vector is coupled with the one before it alone, but after a restart."""
    space = Subspace(lambda v: torch.linspace(-1, 1, 30, dtype=FLOAT) * v, 30, 12, dtype=FLOAT)
    local = []
    for _ in range(12):
        space.expand()
        local.append(space._local)
    assert local == [False] + [True] * 11
    values, weights = torch.linalg.eigh((space.projected + space.projected.T) / 2)
    space.restart(values[-5:], weights[:, -5:], 0.0)
    space.expand()
    assert not space._local
    space.expand()
    assert space._local


@pytest.mark.parametrize("n", [5, 70000, 2**17])
def test_lengths_by_slabs(n):
    v = torch.randn(n, generator=torch.Generator().manual_seed(0))
    assert _length(v) == pytest.approx(float(v.double().norm()), rel=1e-14)
    assert _length(v * torch.inf) == float("inf")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_fresh_vector_that_lies_in_the_basis_still_gives_an_orthonormal_one(dtype):
    """The start is what the generator draws next; the matrix has rank 12 of 18, so that the
    Krylov space of the start is exhausted and a fresh vector is asked for.
    """
    n, rank = 18, 12
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(n, generator=generator, dtype=torch.float32)
    q = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q
    values = torch.linspace(1.0, 2.0, rank, dtype=torch.float64)
    h = (q[:, :rank] * values @ q[:, :rank].T).to(dtype)
    space = Subspace(lambda v: h @ v, n, n, seed=0, start=start, dtype=dtype)
    for _ in range(n):
        space.expand()
    overlap = space.basis.double() @ space.basis.double().T
    assert (overlap - torch.eye(n)).abs().max() < 20 * torch.finfo(dtype).eps
    assert abs(float(space.projected.trace() - values.sum())) < 100 * torch.finfo(dtype).eps


def test_products_of_combinations_need_no_product():
    h = symmetric(30)
    space = Subspace(lambda v: h @ v, 30, 12, dtype=FLOAT)
    for _ in range(12):
        space.expand()
    weights = torch.randn(12, 2, generator=torch.Generator().manual_seed(1), dtype=FLOAT)
    vectors = space.combine(weights).T
    torch.testing.assert_close(space.product(weights), h @ vectors, rtol=0, atol=1e-12)
    values, turned = torch.linalg.eigh((space.projected + space.projected.T) / 2)
    space.renew(values[-5:], turned[:, -5:], 0.0)
    assert space.product(weights[:5]) is None


def test_vectors_that_are_known_are_kept_as_they_are():
    h = symmetric(30)
    one, other = (Subspace(lambda v: h @ v, 30, 12, dtype=FLOAT) for _ in range(2))
    for space in (one, other):
        for _ in range(9):
            space.expand()
        values, turned = torch.linalg.eigh((space.projected + space.projected.T) / 2)
        vectors = None if space is one else space.combine(turned[:, :4])
        space.renew(values[:4], turned[:, :4], 0.0, vectors)
        space.expand()
    torch.testing.assert_close(one.basis, other.basis, rtol=0, atol=1e-14)


def test_asymmetry_is_that_of_the_matrix():
    a = torch.randn(12, 12, generator=torch.Generator().manual_seed(2), dtype=FLOAT)
    h = symmetric(12) + a - a.T
    space = Subspace(lambda v: h @ v, 12, 12, dtype=FLOAT)
    for _ in range(12):
        space.expand()
    matrix_norm = torch.linalg.matrix_norm
    assert space.asymmetry == pytest.approx(float(matrix_norm(h - h.T) / matrix_norm(h)), rel=0.2)
