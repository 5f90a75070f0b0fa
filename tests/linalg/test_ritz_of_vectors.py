"""Ritz pairs of given vectors against the dense projected matrix."""

import pytest
import torch

from landscape.linalg import rayleigh_ritz

FLOAT = torch.float64


def symmetric(n, seed=0):
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=FLOAT)
    return a + a.T


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT])
@pytest.mark.parametrize("slab", [7, 1 << 16])
def test_values_and_residuals_are_those_of_an_orthonormal_basis(dtype, slab, monkeypatch):
    monkeypatch.setattr("landscape.linalg.ritz_of_vectors.SLAB", slab)
    h = symmetric(40)
    g = torch.Generator().manual_seed(1)
    x = torch.randn(40, 4, generator=g, dtype=FLOAT).to(dtype)  # far from orthonormal
    pairs = rayleigh_ritz(x, h @ x.double())
    q = torch.linalg.qr(x.double())[0]
    torch.testing.assert_close(pairs.values, torch.linalg.eigvalsh(q.T @ h @ q))
    v = pairs.vectors.double()
    assert pairs.vectors.dtype == dtype
    torch.testing.assert_close(v.T @ v, torch.eye(4, dtype=FLOAT), rtol=0, atol=1e-6)
    exact = torch.linalg.vector_norm(h @ v - v * pairs.values, dim=0)
    assert (exact <= pairs.residuals + 1e-12).all()
    torch.testing.assert_close(exact, pairs.residuals, rtol=0, atol=1e-5)


def test_eigenvectors_turned_among_each_other_are_found_again():
    h = symmetric(30)
    values, vectors = torch.linalg.eigh(h)
    turned = vectors[:, -3:] @ torch.linalg.qr(symmetric(3, 2))[0]
    pairs = rayleigh_ritz(turned, h @ turned)
    torch.testing.assert_close(pairs.values, values[-3:])
    assert pairs.residuals.max() < 1e-12
