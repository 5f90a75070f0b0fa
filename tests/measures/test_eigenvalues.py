"""Eigenvalues against closed forms and dense float64 Hessians written out by double backward."""

import builtins

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from landscape import Objective
from landscape.measures import Eigenvalues, Plane, Surface

CASES = [
    ("mlp", "stored"),
    ("layer_norm", "stored"),
    ("tied", "stored"),
    ("conv", "stored"),
    ("conv", "batch"),
    ("conv", "reestimated"),
]


@pytest.fixture
def diagonal(bare_objective):
    """L(w) = wᵀ diag(d) w / 2."""

    def make(d):
        d = torch.tensor(d, dtype=torch.float64)
        return bare_objective(torch.ones(len(d)), lambda w: 0.5 * (d * w**2).sum())

    return make


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("magnitude", [-9, 7]),
        ("largest", [7, 3]),
        ("smallest", [-9, -2]),
        ("both", [-9, 7, 3, -2]),
    ],
)
def test_order_of_known_values(diagonal, which, expected):
    record = Eigenvalues(k=2, which=which)(diagonal([3.0, -9.0, 1.0, 7.0, -2.0]))
    np.testing.assert_allclose(record.values, expected, atol=1e-9)
    assert record.converged.all()


@pytest.mark.parametrize(("name", "policy"), CASES)
@pytest.mark.parametrize("which", ["magnitude", "both"])
def test_every_value_within_its_bound(objective, dense_hessian, name, policy, which):
    subject = objective(name, batch_norm=policy)
    exact = torch.linalg.eigvalsh(dense_hessian(subject)).numpy()
    record = Eigenvalues(k=4, which=which)(subject)
    if which == "both":
        exact = np.concatenate([exact[:4], exact[-4:]])
    exact = exact[np.argsort(-np.abs(exact), kind="stable")][: len(record.values)]
    error = np.abs(record.values - exact)
    assert (error <= record.bounds + 1e-12).all()
    assert (error <= 1e-4 * np.abs(exact).max()).all()
    assert record.converged.all()


@pytest.mark.parametrize(("name", "policy"), CASES)
def test_products_are_the_dense_hessian(objective, dense_hessian, name, policy):
    subject = objective(name, batch_norm=policy)
    n = subject.weights.n
    products = subject.hvp(torch.eye(n, dtype=torch.float64))
    torch.testing.assert_close(products, dense_hessian(subject), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("policy", ["stored", "batch", "reestimated"])
def test_second_difference_along_the_first_vector(objective, policy):
    """Rule R7: eigenvalue and surface speak of the same function of w."""
    subject, h = objective("conv", batch_norm=policy), 1e-3
    record = Eigenvalues(k=2, tolerance=1e-8)(subject)
    plane = Plane(subject.w, *torch.from_numpy(record.vectors).unbind(1))
    loss = Surface(size=3, span=h, plane=plane)(subject).loss
    curvature = (loss[2, 1] - 2 * loss[1, 1] + loss[0, 1]) / h**2
    np.testing.assert_allclose(curvature, record.values[0], rtol=1e-4)


def test_vectors_meet_their_residuals(objective):
    subject = objective()
    record = Eigenvalues(k=3)(subject)
    vectors = torch.from_numpy(record.vectors)
    left = subject.hvp(vectors) - torch.from_numpy(record.values) * vectors
    assert (left.norm(dim=0).numpy() <= record.residuals + 1e-12).all()


@pytest.mark.parametrize("backend", ["lanczos", "pyhessian"])
def test_every_product_is_counted(objective, monkeypatch, backend):
    subject, calls = objective(), []
    plain = subject.hvp

    def counted(v, at=None):
        calls.extend([1] if v.dim() == 1 else [])
        return plain(v, at)

    monkeypatch.setattr(subject, "hvp", counted)
    record = Eigenvalues(k=2, max_hvps=40, tolerance=0.0, backend=backend)(subject)
    assert record.hvps == len(calls) + (40 if backend == "pyhessian" else 0)


def test_unfinished_says_so(objective):
    record = Eigenvalues(k=5, max_hvps=6)(objective("tied"))
    assert not record.converged.all()
    assert (record.residuals[~record.converged] > 0).all()


def test_products_that_are_not_symmetric_are_refused(bare_objective):
    class Wrong(torch.autograd.Function):
        """Forgets its input in the second derivative."""

        @staticmethod
        def forward(ctx, w):
            ctx.save_for_backward(w)
            return w[0] * w[1] + (w**2).sum()

        @staticmethod
        def backward(ctx, g):
            (w,) = ctx.saved_tensors
            return g * (2 * w + torch.stack([w[1].detach(), w[0], w.new_zeros(())]))

    with pytest.raises(ValueError, match=r"not symmetric.*float64"):
        Eigenvalues(k=1)(bare_objective([1.0, 2.0, 3.0], Wrong.apply))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "`k` must be at least 1. Got 0."),
        ({"which": "top"}, "`which` must be one of magnitude, .* Got 'top'"),
        ({"tolerance": -1.0}, "`tolerance` must be non-negative"),
        ({"max_hvps": 0}, "`max_hvps` must be at least 1"),
        ({"backend": "numpy"}, "`backend` must be one of lanczos, pyhessian"),
        ({"backend": "pyhessian", "which": "both"}, "by magnitude. Got 'both'"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Eigenvalues(**settings)


@pytest.mark.parametrize("backend", ["lanczos", "pyhessian"])
def test_more_pairs_than_weights(diagonal, backend):
    with pytest.raises(ValueError, match=r"`k` must be at most n = 3.* Got 4"):
        Eigenvalues(k=4, backend=backend)(diagonal([1.0, 2.0, 3.0]))


class TestPyHessian:
    def test_known_values(self, diagonal):
        """A wide spectrum, where power iteration is at its best; and a flat direction."""
        subject = diagonal([1.0, 64.0, 8.0, -512.0, 0.0])
        record = Eigenvalues(k=3, tolerance=1e-9, backend="pyhessian")(subject)
        np.testing.assert_allclose(record.values, [-512.0, 64.0, 8.0], rtol=1e-5)
        assert (record.residuals < 1e-2).all()
        assert record.backend == "pyhessian"

    @pytest.mark.parametrize(
        ("name", "policy"), [("mlp", "stored"), ("conv", "stored"), ("conv", "batch")]
    )
    def test_agrees_where_it_converges(self, objective, name, policy):
        subject = objective(name, batch_norm=policy)
        ours = Eigenvalues(k=2, tolerance=1e-8)(subject)
        theirs = Eigenvalues(k=2, tolerance=1e-8, max_hvps=800, backend="pyhessian")(subject)
        error = np.abs(ours.values - theirs.values)
        assert (error <= theirs.bounds + ours.bounds).all()
        np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-4)

    def test_parameters_without_curvature(self, net, data, objective):
        """An unused parameter and one that the loss is linear in."""
        model = net("mlp")
        model.register_parameter("idle", torch.nn.Parameter(torch.ones(2).double()))
        model.register_parameter("linear", torch.nn.Parameter(torch.ones(2).double()))
        subject = Objective(
            model, data(), lambda m, b: F.cross_entropy(m(b.x), b.y) + m.linear.sum()
        )
        record = Eigenvalues(k=1, tolerance=1e-8, max_hvps=400, backend="pyhessian")(subject)
        np.testing.assert_allclose(record.values, Eigenvalues(k=1)(objective()).values, rtol=1e-4)

    def test_stopping_early_shows_in_the_residual(self, objective):
        record = Eigenvalues(k=2, tolerance=1e-1, backend="pyhessian")(objective())
        assert not record.converged.any()
        assert (record.residuals > 1e-2 * abs(record.values[0])).any()

    def test_reestimated_statistics_are_refused(self, objective):
        subject = objective("conv", batch_norm="reestimated")
        with pytest.raises(ValueError, match="cannot re-estimate"):
            Eigenvalues(k=1, backend="pyhessian")(subject)

    def test_missing_package_is_named(self, objective, monkeypatch):
        real = builtins.__import__

        def without(name, *args, **kwargs):
            if name.startswith("pyhessian"):
                raise ImportError(name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ValueError, match="pip install pyhessian"):
            Eigenvalues(k=1, backend="pyhessian")(objective())
