"""PyHessian as a second opinion: right where it converges, its residual where not."""

import builtins

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from landscape import Objective
from landscape.measures import Eigenvalues


@pytest.fixture
def diagonal(bare_objective):
    """L(w) = wᵀ diag(d) w / 2."""

    def make(d):
        d = torch.tensor(d, dtype=torch.float64)
        return bare_objective(torch.ones(len(d)), lambda w: 0.5 * (d * w**2).sum())

    return make


def test_known_values(diagonal):
    """A wide spectrum, where power iteration is at its best; and a flat direction."""
    subject = diagonal([1.0, 64.0, 8.0, -512.0, 0.0])
    record = Eigenvalues(k=3, tolerance=1e-9, backend="pyhessian")(subject)
    np.testing.assert_allclose(record.values, [-512.0, 64.0, 8.0], rtol=1e-5)
    assert (record.residuals < 1e-2).all()
    assert record.backend == "pyhessian"


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    ("name", "policy"), [("mlp", "stored"), ("conv", "batch"), ("conv", "stored")]
)
def test_agrees_where_it_converges(objective, name, policy):
    subject = objective(name, batch_norm=policy)
    ours = Eigenvalues(k=2, tolerance=1e-8)(subject)
    theirs = Eigenvalues(k=2, tolerance=1e-8, max_hvps=800, backend="pyhessian")(subject)
    error = np.abs(ours.values - theirs.values)
    assert (error <= theirs.bounds + ours.bounds).all()
    np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-4)


def test_parameters_without_curvature(net, data, objective):
    """An unused parameter and one that the loss is linear in."""
    model = net("mlp")
    model.register_parameter("idle", torch.nn.Parameter(torch.ones(2).double()))
    model.register_parameter("linear", torch.nn.Parameter(torch.ones(2).double()))
    subject = Objective(model, data(), lambda m, b: F.cross_entropy(m(b.x), b.y) + m.linear.sum())
    record = Eigenvalues(k=1, tolerance=1e-8, max_hvps=400, backend="pyhessian")(subject)
    np.testing.assert_allclose(record.values, Eigenvalues(k=1)(objective()).values, rtol=1e-4)


def test_stopping_early_shows_in_the_residual(objective):
    record = Eigenvalues(k=2, tolerance=1e-1, backend="pyhessian")(objective())
    assert not record.converged.any()
    assert (record.residuals > 1e-2 * abs(record.values[0])).any()


def test_reestimated_statistics_are_refused(objective):
    subject = objective("conv", batch_norm="reestimated")
    with pytest.raises(ValueError, match="cannot re-estimate"):
        Eigenvalues(k=1, backend="pyhessian")(subject)


def test_missing_package_is_named(objective, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pyhessian"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="pip install pyhessian"):
        Eigenvalues(k=1, backend="pyhessian")(objective())


def test_a_layer(objective):
    ours = Eigenvalues(k=1, layer="head", tolerance=1e-8)(objective("tied"))
    theirs = Eigenvalues(k=1, layer="head", tolerance=1e-8, backend="pyhessian")(objective("tied"))
    np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-5)
