"""The trace of networks whose Hessian is written out, with and without known eigenpairs."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from landscape.measures import Eigenvalues, Trace
from landscape.measures.curvature.operator import Operator


@pytest.mark.parametrize("name", ["mlp", "relu", "layer_norm", "tied", "conv"])
def test_the_interval_holds_the_trace_of_the_dense_hessian(objective, dense_hessian, name):
    made = objective(name)
    exact = float(dense_hessian(made).trace())
    for method in ("layers", "krylov", "hutchinson"):
        record = Trace(max_hvps=40, method=method, seed=1)(made)
        assert record.stderr > 0
        assert record.low <= exact <= record.high
        assert record.value == pytest.approx((record.low + record.high) / 2)


def test_curvature_between_layers_is_no_trace(objective, dense_hessian):
    """At initialisation it is most of the Hessian; the layers alone need fewer products."""
    made = objective("relu")
    h = dense_hessian(made)
    sizes = Operator(made, "hessian", None).block.module_sizes
    assert sizes == [35, 18]
    record, whole = (
        Trace(method=m, tolerance=0.02, max_hvps=100)(made) for m in ("layers", "krylov")
    )
    assert record.low <= float(h.trace()) <= record.high
    assert (record.method, whole.method) == ("layers", "krylov")
    assert record.converged and record.hvps <= whole.hvps


@pytest.mark.parametrize("policy", ["batch", "reestimated"])
def test_under_each_policy(objective, dense_hessian, policy):
    made = objective("conv", batch_norm=policy)
    record = Trace(tolerance=1e-6)(made)
    assert record.converged
    assert record.value == pytest.approx(float(dense_hessian(made).trace()), rel=1e-6)


def test_a_module_has_the_trace_of_its_block(objective, dense_hessian):
    made = objective()
    h = dense_hessian(made)
    head = slice(35, 53)
    record = Trace(layer="2", tolerance=1e-9)(made)
    assert (record.n, record.layer) == (18, "2")
    assert record.value == pytest.approx(float(h[head, head].trace()), rel=1e-9)


def test_gauss_newton_of_softmax_cross_entropy(objective):
    """tr Jᵀ(diag p − ppᵀ)J, from the Jacobian of the logits; it differs from the Hessian's."""
    made, exact = objective(), 0.0
    parameters = list(made.model.parameters())
    for batch in made.batches:
        for x in batch.x:
            z = made.model.eval()(x)
            rows = [torch.autograd.grad(c, parameters, retain_graph=True) for c in z]
            j = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
            p = F.softmax(z, 0).detach()
            exact += float((j.T @ (p.diag() - p.outer(p)) @ j).trace()) / made.examples
    record = Trace(curvature="gauss-newton")(made)
    assert record.low <= exact <= record.high
    assert record.converged
    assert abs(Trace()(made).value - exact) > 0.02 * exact


def test_known_eigenpairs_are_not_estimated_again(objective, dense_hessian):
    made = objective()
    exact = float(dense_hessian(made).trace())
    pairs = Eigenvalues(k=6)(made)
    alone = Trace(max_hvps=40, method="hutchinson")(made)
    with_pairs = Trace(max_hvps=40, method="hutchinson")(made, pairs)
    assert with_pairs.low <= exact <= with_pairs.high
    assert with_pairs.stderr < 0.6 * alone.stderr
    assert with_pairs.hvps <= 40


def test_rough_eigenpairs_do_not_bend_the_trace(objective, dense_hessian):
    """Rayleigh quotients of any orthonormal vectors are their share of the trace."""
    made = objective()
    pairs = Eigenvalues(k=5, max_hvps=8)(made)
    assert not pairs.converged.all()
    record = Trace(tolerance=1e-6)(made, pairs)
    assert record.method == "krylov"  # they are of the whole matrix
    assert record.value == pytest.approx(float(dense_hessian(made).trace()), rel=1e-6)


def test_foreign_eigenpairs_are_refused(objective):
    made = objective()
    pairs = Eigenvalues(k=3)(made)
    with pytest.raises(ValueError, match="`pairs` must be eigenpairs of this curvature"):
        Trace()(objective(seed=1), pairs)
    with pytest.raises(ValueError, match=r"`pairs` must be eigenpairs of this curvature"):
        Trace(curvature="gauss-newton")(objective("relu"), Eigenvalues(k=3)(made))
    with pytest.raises(ValueError, match=r"vectors of length 18. Got 53"):
        Trace(layer="2")(made, pairs)
    with pytest.raises(ValueError, match="which no file keeps"):
        Trace()(made, dataclasses.replace(pairs, vectors=None))


def test_a_trace_small_beside_its_spread_is_not_claimed(bare_objective):
    """Eigenvalues ±1 of sum 2 in 400 dimensions: as a network at initialisation."""
    d = torch.ones(400, dtype=torch.float64)
    d[:199] = -1
    d += 0.3 * torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    record = Trace(max_hvps=60)(bare_objective(torch.zeros(400), lambda w: (d * w**2).sum() / 2))
    assert not record.converged
    assert record.hvps == 60
    assert record.high - record.low > abs(record.value)
    assert record.low <= float(d.sum()) <= record.high


def test_hvps_are_counted(objective, monkeypatch):
    made, calls = objective(), []
    product = made.double_backward
    monkeypatch.setattr(made, "double_backward", lambda *args: calls.append(1) or product(*args))
    record = Trace(max_hvps=50)(made, Eigenvalues(k=2)(objective()))
    assert record.hvps == len(calls) <= 50
    assert record.hvps == 3 + record.deflated + record.draws


def test_float32_agrees(objective, dense_hessian, net, data):
    from landscape import Objective

    exact = float(dense_hessian(objective()).trace())
    pairs = [(batch.x.float(), batch.y) for batch in data()]
    single = Objective(net("mlp").float(), pairs, lambda m, b: F.cross_entropy(m(b.x), b.y))
    record = Trace(tolerance=1e-4)(single)
    assert record.converged
    assert record.low <= exact <= record.high
    assert abs(record.value - exact) < 1e-4 * exact


@pytest.mark.slow
def test_the_interval_holds_over_seeds(objective, dense_hessian):
    """300 seeds of a network, stopping on: 0.91 is three standard deviations below 0.95."""
    made = objective("conv")
    exact = float(dense_hessian(made).trace())
    found = [Trace(tolerance=0.1, max_hvps=60, seed=seed)(made) for seed in range(300)]
    assert np.mean([r.low <= exact <= r.high for r in found]) >= 0.91


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tolerance": -1}, "`tolerance` must be non-negative. Got -1"),
        ({"max_hvps": 23}, "`max_hvps` must be at least 24. Got 23"),
        (
            {"method": "exact"},
            "`method` must be one of layers, krylov, hutch.*hutchinson. Got 'exact'",
        ),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(ValueError, match=words):
        Trace(**settings)
