"""Eigenvalues against closed forms and dense float64 Hessians written out by double backward."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import Eigenvalues, Plane, Surface
from landscape.measures.curvature.operator import operator
from landscape.measures.eigenvalues import BACKENDS, WHICH
from landscape.objective import first_pass
from landscape.records import load


def outer(values, k, which):
    """The k wanted of a whole ascending spectrum, in the order promised."""
    by_size = lambda x: x[np.argsort(-np.abs(x), kind="stable")]  # noqa: E731
    return {
        "magnitude": lambda: by_size(values)[:k],
        "largest": lambda: values[::-1][:k],
        "smallest": lambda: values[:k],
        "both": lambda: by_size(np.concatenate([values[:k], values[-k:]])),
    }[which]()


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


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


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("name", "policy"), CASES)
@pytest.mark.parametrize("which", WHICH)
def test_every_value_within_its_bound(objective, dense_hessian, name, policy, which):
    subject = objective(name, batch_norm=policy)
    exact = torch.linalg.eigvalsh(dense_hessian(subject)).numpy()
    record = Eigenvalues(k=4, which=which)(subject)
    error = np.abs(record.values - outer(exact, 4, which))
    assert (error <= record.bounds + 1e-12).all()
    assert (error <= 1e-4 * np.abs(exact).max()).all()
    assert record.converged.all()


@pytest.mark.thinned(2)
@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("layer", [None, "first"])
@pytest.mark.parametrize("memory", [0, 2**30])
def test_curvature_and_layer(objective, curvature, layer, memory):
    """The spectrum of the matrix that the operator is; the record says which, and how."""
    subject = objective("tied", memory=memory)
    made = operator(subject, curvature, layer)
    columns = [made.matvec(e) for e in torch.eye(made.n, dtype=torch.float64)]
    exact = torch.linalg.eigvalsh(torch.stack(columns)).numpy()
    record = Eigenvalues(k=3, curvature=curvature, layer=layer, tolerance=1e-8)(subject)
    np.testing.assert_allclose(record.values, outer(exact, 3, "magnitude"), atol=1e-7)
    assert (record.curvature, record.layer) == (curvature, layer)
    assert (record.products, record.product_error) == ("double backward", 0.0)
    assert record.graphs == ("kept" if memory else "rebuilt")
    assert record.product_cost > 0
    assert record.vectors.shape == (made.n, 3)


def test_vectors_go_into_the_file_on_request(objective, tmp_path):
    for keep in (False, True):
        record = Eigenvalues(k=2, vectors=keep)(objective())
        assert record.vectors.shape == (53, 2)
        record.save(tmp_path / "record.nc")
        again = load(tmp_path / "record.nc").vectors
        if keep:
            np.testing.assert_array_equal(again, record.vectors)
        else:
            assert again is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_differences_are_within_their_bounds(net, data, dense_hessian, dtype):
    """A custom function without a second derivative: slower, less exact, and it says so."""

    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.tanh()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * (1 - ctx.saved_tensors[0].tanh() ** 2)

    plain = net("mlp")
    model = nn.Sequential(plain[0], nn.Identity(), plain[2])
    exact = torch.linalg.eigvalsh(dense_hessian(Objective(plain, data(), cross_entropy))).numpy()
    model[1].forward = Tanh.apply
    batches = [(b.x.to(dtype), b.y) for b in data()]
    record = Eigenvalues(k=3)(Objective(model.to(dtype), batches, cross_entropy))
    error = np.abs(record.values - outer(exact, 3, "magnitude"))
    assert record.products == "finite differences"
    assert 0 < record.product_error < 1e-2
    assert (error <= record.bounds).all()
    assert record.bounds.max() < 1e-2 * exact.max()
    assert (record.bounds > record.product_error * np.abs(record.values)).any()


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
    plain = subject.double_backward

    def counted(v, at=None):
        calls.append(1)
        return plain(v, at)

    monkeypatch.setattr(subject, "double_backward", counted)
    record = Eigenvalues(k=2, max_hvps=40, tolerance=0.0, backend=backend)(subject)
    assert record.hvps == len(calls) + (40 if backend == "pyhessian" else 0)


def test_unfinished_says_so(objective):
    record = Eigenvalues(k=5, max_hvps=6)(objective("tied"))
    assert not record.converged.all()
    assert (record.residuals[~record.converged] > 0).all()


def test_a_wrong_second_derivative_is_not_used(bare_objective):
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

    record = Eigenvalues(k=3)(bare_objective([1.0, 2.0, 3.0], Wrong.apply))
    np.testing.assert_allclose(record.values, [3, 2, 1], atol=1e-6)
    assert record.products == "finite differences"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "`k` must be at least 1. Got 0."),
        ({"which": "top"}, "`which` must be one of magnitude, .* Got 'top'"),
        ({"tolerance": -1.0}, "`tolerance` must be non-negative"),
        ({"max_hvps": 0}, "`max_hvps` must be at least 1"),
        ({"backend": "numpy"}, "`backend` must be one of lanczos, pyhessian, curvlinops"),
        ({"curvature": "kfac"}, "`curvature` must be one of hessian, gauss-newton"),
        ({"curvature": "gauss-newton", "backend": "curvlinops"}, "knows only the Hessian"),
        ({"backend": "pyhessian", "which": "both"}, "by magnitude. Got 'both'"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Eigenvalues(**settings)


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_pairs_than_weights(diagonal, backend):
    with pytest.raises(ValueError, match=r"`k` must be at most n = 3.* Got 4"):
        Eigenvalues(k=4, backend=backend)(diagonal([1.0, 2.0, 3.0]))


def test_products_that_are_not_symmetric_are_refused(bare_objective, monkeypatch):
    """A field with curl is nobody's gradient: its derivative is not symmetric."""

    class Curl(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w):
            ctx.save_for_backward(w)
            return (w**2).sum()

        @staticmethod
        def backward(ctx, g):
            (w,) = ctx.saved_tensors
            return g * (2 * w + torch.stack([w[1], -w[0], w.new_zeros(())]))

    monkeypatch.setattr(first_pass, "reason_against", lambda *_: "")  # which sees it, too
    with pytest.raises(ValueError, match=r"not symmetric.*float64"):
        Eigenvalues(k=2)(bare_objective([1.0, 2.0, 3.0], Curl.apply))


def test_summary_and_gradient_come_from_one_pass(objective):
    subject = objective("conv", batch_norm="batch")
    gradient = subject.summarised_grad()
    assert torch.equal(gradient, subject.grad())
    assert subject.summary.loss == subject.value()
    assert subject.summary.grad_norm == float(gradient.norm())
