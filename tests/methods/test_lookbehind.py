"""Lookbehind against the values of its recurrence, by hand and by an independent version."""

import pytest
import torch
from torch import nn

from landscape.methods import AACE, ASAM, MSAM, SAM, Lookbehind
from landscape.methods.walker.walker import Walker

# H = diag(1, 10), w = (1, 1), rho 0.1, lr 0.05, plain SGD: k, z_k, f_k, phi at alpha 1/2, adaptive
TABLE = [
    (
        1,
        (1.009950371902, 1.099503719021),
        (0.949502481405, 0.450248140490),
        (0.974751240702, 0.725124070245),
        (0.949502481405, 0.450248140490),
    ),
    (
        2,
        (1.019097375861, 1.199084501899),
        (0.898547612612, -0.149294110460),
        (0.949273806306, 0.425352944770),
        (0.898547932725, -0.149290484082),
    ),
    (
        3,
        (1.027565808269, 1.298725284978),
        (0.847169322198, -0.798656752949),
        (0.923584661099, 0.100671623526),
        (0.847171105758, -0.798635762321),
    ),
    (
        5,
        (1.042837538445, 1.498140729643),
        (0.743254781824, -2.246933987514),
        (0.871627390912, -0.623466993757),
        (0.743265116590, -2.246803288672),
    ),
]
EXACT = {"rtol": 0, "atol": 2e-12}


@pytest.fixture
def after(quadratic_walker):
    """The point after one step on a quadratic; alpha = 0 shows that nothing else moves it."""

    def run(diagonal, start, lr, **settings):
        walker = quadratic_walker(diagonal, start, lr=lr)
        Lookbehind(**settings).step(walker, None)
        return walker.w.tolist(), walker.logged["alpha"].item()

    return run


@pytest.mark.parametrize(("k", "z", "fast", "half", "adaptive"), TABLE)
def test_two_dimensions(k, z, fast, half, adaptive, after, quadratic_walker):
    problem = {"diagonal": [1.0, 10.0], "start": [1.0, 1.0], "lr": 0.05, "rho": 0.1, "k": k}
    torch.testing.assert_close(after(**problem, alpha=1.0)[0], list(fast), **EXACT)
    torch.testing.assert_close(after(**problem, alpha=0.5)[0], list(half), **EXACT)
    found = after(**problem, alpha="adaptive", scope="global")[0]
    torch.testing.assert_close(found, list(adaptive), **EXACT)
    assert after(**problem, alpha=0.0)[0] == [1.0, 1.0]
    seen = []
    walker = quadratic_walker([1.0, 10.0], [1.0, 1.0], lr=0.05)
    look = walker.grad
    walker.grad = lambda batch, at=None: seen.append(at) or look(batch, at)
    Lookbehind(rho=0.1, k=k).step(walker, None)
    torch.testing.assert_close(seen[-1].tolist(), list(z), **EXACT)


@pytest.mark.parametrize(("k", "alpha"), [(2, 0.9085798227), (5, 0.8817919712)])
def test_adaptive_alpha_where_the_curvature_is_indefinite(k, alpha, after):
    problem = {"diagonal": [1.0, -4.0], "start": [1.0, 0.2], "lr": 0.1, "rho": 1.0, "k": k}
    found = after(**problem, alpha="adaptive", scope="global")[1]
    assert found == pytest.approx(alpha, abs=1e-10)


@pytest.mark.parametrize(
    ("k", "alpha", "expected"),
    [(1, 1.0, 1.18), (2, 1.0, 0.84), (2, 0.5, 1.17), (3, 1.0, 0.48), (3, 0.5, 0.99)],
)
def test_one_dimension(k, alpha, expected, after):
    """L = w², w = 1.5: w⁺ = w - α·lr·h (k w + ρ k(k+1)/2)."""
    problem = {"diagonal": [2.0], "start": [1.5], "lr": 0.1, "rho": 0.1, "k": k}
    assert after(**problem, alpha=alpha)[0] == pytest.approx([expected], abs=1e-11)
    assert after(**problem, alpha="adaptive")[1] == 1.0


@pytest.mark.parametrize(("k", "alpha", "expected"), [(1, 1.0, 1 / 90), (3, 0.5, 0.06 / 1.7)])
def test_the_cycle_around_a_minimum(k, alpha, expected, quadratic_walker):
    walker = quadratic_walker([2.0], [0.3], lr=0.1)
    for _ in range(120):
        Lookbehind(rho=0.1, k=k, alpha=alpha).step(walker, None)
    assert abs(walker.w.item()) == pytest.approx(expected, rel=1e-9)


def test_without_radius_one_step_of_k_gradients(net_walker, batch):
    """ρ = 0, plain SGD: φ - α k lr ∇L(φ), not k steps of SGD."""
    walker = net_walker()
    w, g = walker.w, walker.grad(batch)
    Lookbehind(rho=0.0, k=3, alpha=0.4).step(walker, batch)
    torch.testing.assert_close(walker.w, w - 0.4 * 3 * 0.1 * g, rtol=1e-12, atol=1e-14)


def test_alpha_one_over_k_is_the_averaged_step(net_walker, batch):
    """Plain SGD: one step along (1/k) Σ ∇L(z_i)."""
    walker = net_walker()
    z = w = walker.w
    total = torch.zeros_like(w)
    for _ in range(3):
        a = walker.grad(batch, at=z)
        z = z + 0.2 * a / a.norm()
        total += walker.grad(batch, at=z)
    Lookbehind(rho=0.2, k=3, alpha=1 / 3).step(walker, batch)
    torch.testing.assert_close(walker.w, w - 0.1 * total / 3, rtol=1e-11, atol=1e-13)


def naive(A, w, steps, k, alpha, mu, decay, climb):
    """The recurrence in the paper's variables, torch's momentum; global adaptive alpha."""
    b = None
    for _ in range(steps):
        phi = z = f = first = w
        for i in range(k):
            z = z + climb(A @ z, z)
            q = A @ z + decay * f
            b = q if b is None else mu * b + q
            f = f - 0.05 * b
            first = f if i == 0 else first
        first = first - phi
        cos = first @ (f - phi) / first.norm() / (f - phi).norm()
        w = phi + ((cos + 1) / 2 if alpha == "adaptive" else alpha) * (f - phi)
    return w


def sam(a, z):
    return 0.1 * a / a.norm()


def asam(a, z):
    t = z.abs() + 0.01
    return 0.1 * t**2 * a / (t * a).norm()


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("over", "climb"), [(None, sam), (ASAM(rho=0.1), asam)])
@pytest.mark.parametrize(("mu", "decay"), [(0.0, 0.0), (0.9, 0.05)])
@pytest.mark.parametrize("alpha", [0.2, 1.0, "adaptive"])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_against_an_independent_version(k, alpha, mu, decay, over, climb, linear_point):
    """Random quadratic in R³, twelve steps; momentum is carried over and not interpolated."""
    root = torch.randn(3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    A, model = root @ root.T / 3, linear_point([1.0, -2.0, 0.5])
    base = torch.optim.SGD(model.parameters(), lr=0.05, momentum=mu, weight_decay=decay)
    walker = Walker(model, base, lambda m, _: m.weight @ A @ m.weight / 2)
    start = walker.w
    for _ in range(12):
        Lookbehind(rho=0.1, k=k, alpha=alpha, over=over).step(walker, None)
    expected = naive(A, start, 12, k, alpha, mu, decay, climb)
    torch.testing.assert_close(walker.w, expected, rtol=1e-9, atol=1e-10)


def test_each_tensor_has_its_own_alpha(batch):
    """The mean of both agreements is not the agreement of both; a still tensor has 1/2."""
    model = nn.ParameterDict({"a": torch.ones(2), "b": torch.ones(1), "c": torch.ones(2)}).double()

    def loss(m, _):
        return m["a"] @ m["a"].new_tensor([1.0, -4.0]).diag() @ m["a"] / 2 + m["b"].pow(4).sum()

    def alphas(scope):
        walker = Walker(model, torch.optim.SGD(model.parameters(), lr=0.1), loss)
        start = walker.w
        Lookbehind(rho=1.0, k=3, alpha=1.0).step(walker, None)
        last = walker.w - start
        walker.move_to(start)
        Lookbehind(rho=1.0, k=1, alpha=1.0).step(walker, None)
        first = walker.w - start
        walker.move_to(start)
        Lookbehind(rho=1.0, k=3, alpha="adaptive", scope=scope).step(walker, None)
        return first, last, (walker.w - start) / last

    first, last, found = alphas("tensor")
    cos = first[:2] @ last[:2] / first[:2].norm() / last[:2].norm()
    torch.testing.assert_close(found[:3].tolist(), [(cos.item() + 1) / 2] * 2 + [1.0])
    assert cos < 0.999
    first, last, found = alphas("global")
    cos = (first @ last / first.norm() / last.norm()).item()
    torch.testing.assert_close(found[:3].tolist(), [(cos + 1) / 2] * 3)


def test_scaling_the_loss_changes_no_climb(net_walker, small_net, batch):
    """z_i depend on directions alone."""
    paths = []
    for c in (1.0, 50.0):
        model, path = small_net(), []
        walker = Walker(
            model,
            torch.optim.SGD(model.parameters(), lr=1e-3),
            lambda m, b, c=c: c * nn.functional.cross_entropy(m(b.x), b.y),
        )
        look = walker.grad
        walker.grad = lambda b, at=None, path=path, look=look: path.append(at) or look(b, at)
        Lookbehind(rho=0.2, k=3).step(walker, batch)
        paths.append(path[-1])
    torch.testing.assert_close(*paths, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("reuse", "passes"), [(False, 10), (True, 6)])
def test_passes(reuse, passes, net_walker, batch):
    """2k, or k + 1 with reuse."""
    walker = net_walker()
    Lookbehind(k=5, reuse=reuse).step(walker, batch)
    assert walker.passes == passes


def test_wrong_settings_are_refused():
    for alpha in (1.5, -1, "auto", float("nan")):
        with pytest.raises(ValueError, match=r'must lie in \[0, 1\] or be "adaptive". Got'):
            Lookbehind(alpha=alpha)
    with pytest.raises(ValueError, match=r"`k` must be a whole number of at least 1. Got 0."):
        Lookbehind(k=0)
    with pytest.raises(ValueError, match=r"`scope` must be one of tensor, global. Got 'layer'."):
        Lookbehind(scope="layer")
    with pytest.raises(ValueError, match="Got Lookbehind: it is a chain of climbs and descents"):
        Lookbehind(over=Lookbehind())
    with pytest.raises(ValueError, match="Got AACE, which climbs by another loss: use reuse=False"):
        Lookbehind(over=AACE(), reuse=True)
    with pytest.raises(ValueError, match="`reuse` needs a climb along the gradient"):
        Lookbehind(over=MSAM(over=AACE()), reuse=True)
    assert Lookbehind(over=SAM()).alpha == 0.5
