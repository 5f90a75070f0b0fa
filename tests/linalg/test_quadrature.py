"""Quadrature: exact where Lanczos is complete, moments where it is not, errors that hold."""

import numpy as np
import pytest
import torch

from landscape.linalg.quadratic_forms import numbered_directions
from landscape.linalg.quadrature import stochastic_lanczos

FLOAT = torch.float64
N = 30


def symmetric(n=N):
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=FLOAT)
    return (a + a.T) / 2


def rules(h, probes=3, steps=N, **settings):
    return stochastic_lanczos(lambda v: h @ v, h[0], probes, steps, **settings)


@pytest.mark.parametrize("f", [np.exp, np.abs, lambda t: 1 / (t - 0.1j)])
def test_all_steps_reproduce_every_function(f):
    """Σ τ f(θ) = xᵀf(H)x/‖x‖²."""
    h = symmetric()
    found = rules(h)
    values, vectors = torch.linalg.eigh(h)
    for i, x in enumerate(map(numbered_directions(h[0], 0), range(3))):
        exact = ((vectors.T @ x / x.norm()) ** 2).numpy() @ f(values.numpy())
        assert found.weights[i] @ f(found.nodes[i]) == pytest.approx(exact, rel=1e-10)


def test_few_steps_are_exact_for_the_first_moments():
    """Degree 2m − 1 and no further."""
    h, m = symmetric(), 4
    found = rules(h, steps=m)
    for i, x in enumerate(map(numbered_directions(h[0], 0), range(3))):
        x /= x.norm()
        for degree in range(2 * m):
            exact = float(x @ torch.linalg.matrix_power(h, degree) @ x)
            assert found.weights[i] @ found.nodes[i] ** degree == pytest.approx(exact, rel=1e-9)
        beyond = float(x @ torch.linalg.matrix_power(h, 2 * m) @ x)
        assert found.weights[i] @ found.nodes[i] ** (2 * m) < 0.999 * beyond


def test_weights_are_shares():
    found = rules(symmetric(), steps=7)
    assert found.nodes.shape == found.weights.shape == (3, 7)
    assert (found.weights >= 0).all()
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, rtol=1e-12)
    assert found.matvecs == 21
    assert (np.diff(found.nodes, axis=1) > 0).all()


def test_an_invariant_subspace_ends_a_rule():
    """Two distinct eigenvalues: two nodes hold all, the rest is not computed."""
    h = torch.diag(torch.cat([torch.ones(10), -3 * torch.ones(20)])).double()
    found = rules(h, steps=5)
    assert np.isnan(found.nodes[:, 2:]).all() and np.isnan(found.weights[:, 2:]).all()
    np.testing.assert_allclose(found.nodes[:, :2], np.tile([-3.0, 1.0], (3, 1)), rtol=1e-12)
    assert found.matvecs == 6
    mean = found.mean(lambda t: t)
    assert abs(mean.value - -50 / 30) <= mean.half


def test_the_mean_of_one_is_one_and_sure():
    found = rules(symmetric(), steps=5).mean(np.ones_like)
    assert found.value == pytest.approx(1)
    assert found.stderr == pytest.approx(0, abs=1e-7)


@pytest.mark.slow
def test_the_error_of_a_mean_is_that_of_the_traces_of_f_and_its_square():
    """With all directions equal: Var = 2n/(n + 2)·(tr f²(H) − tr(f(H))²/n) over n² and probes."""
    h = symmetric()
    found = rules(h, probes=1000, steps=6).mean(lambda t: t)
    variance = 2 * N / (N + 2) * (h.square().sum() - h.trace() ** 2 / N) / N**2 / 1000
    assert found.stderr == pytest.approx(float(variance) ** 0.5, rel=0.04)


def test_the_shorter_rule_is_what_fewer_steps_give():
    h = symmetric()
    found, fewer = rules(h, steps=8), rules(h, steps=6)
    np.testing.assert_allclose(found.shorter.nodes, fewer.nodes, rtol=1e-12)
    np.testing.assert_allclose(found.shorter.weights, fewer.weights, rtol=1e-9)


def test_memory_limits_the_steps():
    assert rules(symmetric(), steps=9, memory=6 * N * 8).nodes.shape == (3, 5)


@pytest.mark.slow
def test_means_hold_as_often_as_they_say():
    """120 seeds, a mean and the share of one outlier, which few probes hit: 0.89 is 3 σ low."""
    values = torch.cat([torch.linspace(-1, 1, N - 1), torch.tensor([5.0])]).double()
    held = np.zeros(2)
    for seed in range(120):
        found = rules(torch.diag(values), probes=10, steps=6, seed=seed)
        for i, f in enumerate([lambda t: t, lambda t: (t > 4).astype(float)]):
            mean = found.mean(f)
            held[i] += abs(mean.value - f(values.numpy()).mean()) <= mean.half
    assert (held >= 107).all(), held


def test_progress_and_refusals():
    told = []
    rules(symmetric(), steps=4, callback=told.append)
    assert told == [4, 8, 12]
    with pytest.raises(ValueError, match=r"`probes` must be at least 2, for an error. Got 1"):
        rules(symmetric(), probes=1)
    with pytest.raises(ValueError, match=r"`steps` must be at least 1. Got 0"):
        rules(symmetric(), steps=0)
