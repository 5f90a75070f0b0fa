"""Ritz pairs of given vectors against the dense projected matrix."""

import torch

from landscape.linalg import rayleigh_ritz
from landscape.linalg.ritz_of_vectors import directions

FLOAT = torch.float64


def normals(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=FLOAT)


def symmetric(n):
    a = normals(n, n)
    return a + a.T


def test_they_are_those_of_an_orthonormal_basis():
    h, x = symmetric(40), normals(40, 4, seed=1)  # far from orthonormal
    pairs = rayleigh_ritz(x, h @ x, lambda values: values.argsort(descending=True)[:3])
    q = torch.linalg.qr(x)[0]
    torch.testing.assert_close(pairs.values, torch.linalg.eigvalsh(q.T @ h @ q).flip(0)[:3])
    v = pairs.vectors
    torch.testing.assert_close(v.T @ v, torch.eye(3, dtype=FLOAT), rtol=0, atol=1e-12)
    torch.testing.assert_close(pairs.products, h @ v)
    torch.testing.assert_close(pairs.left, h @ v - v * pairs.values)
    assert (x.T @ pairs.left).abs().max() < 1e-11


def test_eigenvectors_turned_among_each_other_are_found_again():
    h = symmetric(30)
    values, vectors = torch.linalg.eigh(h)
    turned = vectors[:, -3:] @ torch.linalg.qr(symmetric(3))[0]
    pairs = rayleigh_ritz(turned, h @ turned, lambda values: values.argsort())
    torch.testing.assert_close(pairs.values, values[-3:])
    assert pairs.left.norm() < 1e-12


def test_directions_of_a_block_of_low_rank():
    block = normals(40, 2) @ normals(2, 5, seed=1) + 1e-6 * normals(40, 5, seed=2)
    u = directions(block, 1e-3)
    assert u.shape == (40, 2)
    torch.testing.assert_close(u.T @ u, torch.eye(2, dtype=FLOAT), rtol=0, atol=1e-9)
    assert (block - u @ (u.T @ block)).norm() < 1e-4
    assert directions(block, 1e3).shape == (40, 0)
