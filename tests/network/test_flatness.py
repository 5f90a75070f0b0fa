"""Relative flatness as a number with a gradient: against dense Hessians and all signs there are."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.functional import hessian

from landscape.network import flatness


@pytest.fixture
def head():
    """Weight (d, m), features (n, m), labels (n,)."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    phi = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    return weight, phi, torch.arange(7) % 4


def traces(weight, phi, y):
    """T_{s,s'} = tr H_{s,s'} by autograd, (d, d)."""
    h = hessian(lambda w: F.cross_entropy(phi @ w.T, y), weight)
    return torch.einsum("stut->su", h)


def test_closed_forms_are_those_of_the_hessian(head):
    """F1."""
    weight, phi, y = head
    t, p = traces(weight, phi, y), (phi @ weight.T).softmax(1)
    found = flatness.kappa(phi, p, weight), flatness.kappa_hat(phi, p, weight)
    torch.testing.assert_close(found[0], (weight @ weight.T * t).sum())
    torch.testing.assert_close(found[1], weight.square().sum() * t.trace())
    assert [flatness.of_traces(t, weight, form) for form in ("kappa", "kappa_hat")] == [
        pytest.approx(value.item(), rel=1e-12) for value in found
    ]


def test_labels_do_not_enter(head):
    """F13."""
    weight, phi, y = head
    torch.testing.assert_close(traces(weight, phi, y), traces(weight, phi, (y + 1) % 4))


@pytest.mark.parametrize("c", [0.1, 3.7, 10.0])
def test_rescaling_the_head_and_its_input_changes_nothing(c, head):
    """F3; the plain ‖W‖ tr H does not survive it."""
    weight, phi, _ = head
    p = (phi @ weight.T).softmax(1)
    for measure in (flatness.kappa, flatness.kappa_hat):
        torch.testing.assert_close(measure(phi / c, p, c * weight), measure(phi, p, weight))
    unsquared = [
        (flatness.kappa_hat(phi / a, p, a * weight) / (a * weight).norm()).item() for a in (1, c)
    ]
    assert unsquared[0] != pytest.approx(unsquared[1])


def test_a_common_row_changes_kappa_alone_of_the_two(head):
    """F6. The function is the same; κ sees that, κ̂ does not."""
    weight, phi, _ = head
    p, moved = (phi @ weight.T).softmax(1), weight + phi[0]
    torch.testing.assert_close(flatness.kappa(phi, p, moved), flatness.kappa(phi, p, weight))
    assert flatness.kappa_hat(phi, p, moved) > 1.1 * flatness.kappa_hat(phi, p, weight)


def curved(W, z):
    """A loss of the outputs z (n, d) that is no cross-entropy, with a third derivative."""
    return (z.sin().sum(1).exp() + z.pow(4).sum(1)).mean()


@pytest.fixture
def tiny():
    """Weight (3, 2), features (4, 2)."""
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    return weight, torch.randn(4, 2, generator=generator, dtype=torch.float64)


def by_definition(loss, weight, form, create_graph=True):
    """κ or κ̂ from the dense Hessian of loss(weight), with or without a gradient through it."""
    W = weight.flatten(1)
    h = hessian(lambda w: loss(w.view(weight.shape)), W, create_graph=create_graph)
    T = torch.einsum("stut->su", h)
    return (W @ W.T * T).sum() if form == "kappa" else W.square().sum() * T.trace()


def agree(found, expected, inputs):
    """In value and in gradient."""
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    options = {"retain_graph": True, "materialize_grads": True}
    ours, theirs = (torch.autograd.grad(t, inputs, **options) for t in (found, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("create_graph", [True, False])
@pytest.mark.parametrize("form", ["kappa", "kappa_hat"])
def test_traces_from_the_output(form, create_graph, tiny):
    """Value, and gradient by W and φ; without a graph T is held constant: 2TW alone for κ."""
    weight, phi = (t.requires_grad_() for t in tiny)
    z = phi @ weight.T
    T = flatness.output_traces(curved(weight, z), phi, z, create_graph)
    T = T if create_graph else T.detach()
    found = flatness.of_traces(T, weight, form)
    features = phi if create_graph else phi.detach()
    expected = by_definition(lambda w: curved(w, features @ w.T), weight, form, create_graph)
    agree(found, expected, (weight, phi))
    if form == "kappa" and not create_graph:
        (g,) = torch.autograd.grad(found, weight)
        torch.testing.assert_close(g, 2 * T @ weight)


def test_traces_of_rows_in_sequences(tiny):
    """(2, 2, m) is (4, m)."""
    weight, phi = (t.requires_grad_() for t in tiny)
    values = []
    for features in (phi, phi.view(2, 2, 2)):
        z = features @ weight.T
        values.append(flatness.output_traces(curved(weight, z.flatten(0, -2)), features, z))
    torch.testing.assert_close(*values)


def test_a_loss_linear_in_the_output_has_no_curvature(tiny):
    weight, phi = (t.requires_grad_() for t in tiny)
    z = phi @ weight.T
    assert not flatness.output_traces(z.mean(), phi, z).any()


def every_sign(shape):
    """All matrices of ±1."""
    count = torch.Size(shape).numel()
    for z in itertools.product([-1.0, 1.0], repeat=count):
        yield torch.tensor(z, dtype=torch.float64).view(shape)


@pytest.mark.parametrize("create_graph", [True, False])
@pytest.mark.parametrize("form", ["kappa", "kappa_hat"])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_the_mean_over_all_signs_is_exact(kind, form, create_graph, tiny):
    """F9 without sampling: 16 or 64 matrices are the whole distribution; gradient included."""
    weight, phi = tiny
    weight = (weight if kind == "linear" else weight[:, None, :]).requires_grad_()
    phi.requires_grad_()

    def loss(w, phi):
        z = phi @ w.T if w.dim() == 2 else F.conv1d(phi.view(2, 1, 4), w).transpose(1, 2)
        z = z.reshape(-1, 3)
        return curved(w, z + z.flip(0) ** 2)  # rows that see each other

    m = 2
    signs = list(every_sign((m, m) if form == "kappa" else (3, m)))
    value = loss(weight, phi)
    samples = [flatness.signed(value, weight, Z, form, create_graph) for Z in signs]
    features = phi if create_graph else phi.detach()
    expected = by_definition(lambda w: loss(w, features), weight, form, create_graph)
    agree(torch.stack(samples).mean(), expected, (weight, phi))


def test_squared_error_is_ridge(tiny):
    """F7: ½‖Wφ - y‖² averaged over examples: κ = ‖W‖² mean ‖φ‖², κ̂ = d κ."""
    weight, phi = (t.requires_grad_() for t in tiny)
    z = phi @ weight.T
    T = flatness.output_traces(0.5 * (z - 1).square().sum(1).mean(), phi, z)
    ridge = weight.square().sum() * phi.square().sum(1).mean()
    agree(flatness.of_traces(T, weight, "kappa"), ridge, (weight, phi))
    agree(flatness.of_traces(T, weight, "kappa_hat"), 3 * ridge, (weight, phi))
