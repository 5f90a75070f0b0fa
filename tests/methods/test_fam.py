"""FAM: the closed form against the Hessian of autograd, invariances, gradient, guard."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import hessian

from landscape.methods import FAM
from landscape.methods.fam import kappa, kappa_hat
from landscape.walker import Walker


@pytest.fixture
def head():
    """Weight (d, m), features (n, m), labels (n,)."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    phi = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    return weight, phi, torch.arange(7) % 4


def traces(weight, phi, y, bias=0.0):
    """T_{s,s'} = tr H_{s,s'} by autograd, (d, d)."""
    h = hessian(lambda w: F.cross_entropy(phi @ w.T + bias, y), weight)
    return torch.einsum("stut->su", h)


def closed(weight, phi):
    return kappa(weight, phi, (phi @ weight.T).softmax(-1))


def test_closed_forms_are_those_of_the_hessian(head):
    weight, phi, y = head
    t = traces(weight, phi, y)
    torch.testing.assert_close(closed(weight, phi), (weight @ weight.T * t).sum())
    found = kappa_hat(weight, phi, (phi @ weight.T).softmax(-1))
    torch.testing.assert_close(found, weight.square().sum() * t.trace())


def test_labels_do_not_enter(head):
    weight, phi, y = head
    torch.testing.assert_close(traces(weight, phi, y), traces(weight, phi, (y + 1) % 4))


def test_a_head_by_hand():
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    phi = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    p = (phi @ weight.T).softmax(-1)
    assert kappa(weight, phi, p).item() == pytest.approx(1.3338075779, abs=1e-10)
    assert kappa_hat(weight, phi, p).item() == pytest.approx(9.7891388422, abs=1e-10)


@pytest.mark.parametrize("c", [0.1, 3.7, 10.0])
def test_rescaling_the_head_and_its_input_changes_nothing(c, head):
    """Which the plain ‖W‖ tr H does not survive."""
    weight, phi, _ = head
    p = (phi @ weight.T).softmax(-1)
    torch.testing.assert_close(kappa(c * weight, phi / c, p), kappa(weight, phi, p))
    torch.testing.assert_close(kappa_hat(c * weight, phi / c, p), kappa_hat(weight, phi, p))
    assert kappa_hat(c * weight, phi / c, p) / (c * weight).norm() != pytest.approx(
        (kappa_hat(weight, phi, p) / weight.norm()).item()
    )


def test_a_common_row_changes_kappa_alone_of_the_two(head):
    """The function is the same; κ sees that, κ̂ does not."""
    weight, phi, _ = head
    p = (phi @ weight.T).softmax(-1)
    moved = weight + phi[0]
    torch.testing.assert_close(kappa(moved, phi, p), kappa(weight, phi, p))
    assert kappa_hat(moved, phi, p) > 1.1 * kappa_hat(weight, phi, p)


def test_saturated_heads_keep_their_digits(head):
    """float32 at p_wrong about 1e-6 against float64; the naive variance has no digit left."""
    weight, phi, _ = head
    weight, p = 10 + weight, torch.tensor([[1 - 3e-6, 1e-6, 1e-6, 1e-6]], dtype=torch.float64)
    exact = kappa(weight, phi[:1], p)
    assert exact > 0
    found = kappa(weight.float(), phi[:1].float(), p.float())
    assert found.item() == pytest.approx(exact.item(), rel=1e-3)


@pytest.mark.parametrize("form", ["kappa", "kappa_hat"])
def test_full_gradient_against_finite_differences(form, watched_walker, batch):
    """g = ∇L + λ∇κ in every layer."""
    walker = watched_walker(momentum=0.0)
    w = walker.w
    u = torch.randn(len(w), generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def penalised(at):
        walker.move_to(at)
        FAM(lam=0.7, form=form).step(walker, batch)
        return walker.logged["loss"] + 0.7 * walker.logged["kappa"]

    up, down, _ = (penalised(w + h * u) for h in (1e-5, -1e-5, 0.0))
    g = walker.descents[-1][1]
    torch.testing.assert_close(g @ u, (up - down) / 2e-5, rtol=1e-6, atol=1e-8)


def test_frozen_gradient_is_2TW_on_the_head_alone(watched_walker, batch):
    walker = watched_walker()
    phi = walker.model[:2](batch.x).detach()
    weight = walker.model[2].weight.detach().clone()
    bias = walker.model[2].bias.detach().clone()
    t = traces(weight, phi, batch.y, bias)
    plain = walker.grad(batch, at=walker.w)
    FAM(lam=0.7, gradient="frozen").step(walker, batch)
    extra = walker.descents[0][1] - plain
    part = walker.layers["2.weight"]
    torch.testing.assert_close(extra[part], 0.7 * 2 * (t @ weight).flatten())
    assert extra[: part.start].abs().max() < 1e-15


def test_warmup_raises_the_penalty(stepper, batches):
    """λ/4, λ/2, 3λ/4, λ, λ: by what the descent holds beyond the loss's gradient."""
    ours = stepper("fam", {"fam": {"lam": 0.4, "warmup": 4}}, momentum=0.0, wd=0.0)
    plain = stepper("fam", {"fam": {"lam": 0.4}}, momentum=0.0, wd=0.0)
    ratios = []
    for batch in batches(5):
        w = ours.walker.w
        g = ours.walker.grad(batch, at=w)
        plain.walker.move_to(w)
        ours.step(batch)
        plain.step(batch)
        extra, full = (s.walker.descents[-1][1] - g for s in (ours, plain))
        ratios.append((extra @ full / (full @ full)).item())
    assert ratios == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


class Named(nn.Module):
    """The last linear layer that is called is not the one that gives the logits."""

    def __init__(self):
        super().__init__()
        self.head, self.spare = nn.Linear(6, 3).double(), nn.Linear(3, 3).double()

    def forward(self, x):
        z = self.head(x)
        self.spare(z)
        return z


def test_the_head_can_be_named(watched_walker, batch):
    with pytest.raises(ValueError, match="Name the layer that gives the logits"):
        FAM().step(watched_walker(model=Named()), batch)
    walker = watched_walker(model=Named())
    FAM(layer="head").step(walker, batch)
    assert walker.logged["kappa"] > 0
    with pytest.raises(ValueError, match=r"must be a linear layer: head, spare. Got 'tail'."):
        FAM(layer="tail").step(walker, batch)


SOFTMAX_LOSSES = [
    (lambda z, y: F.cross_entropy(z, y), True),
    (lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1), True),
    (lambda z, y: F.nll_loss(z.log_softmax(-1), y), True),
    (lambda z, y: F.cross_entropy(z, F.one_hot(y, 3).double()), True),
    (lambda z, y: F.cross_entropy(z / 2, y), False),
    (lambda z, y: F.cross_entropy(z, y, reduction="sum"), False),
    (lambda z, y: F.cross_entropy(z.relu(), y), False),
    (lambda z, y: F.mse_loss(z, F.one_hot(y, 3).double()), False),
    (lambda z, y: z.mean(), False),
]


@pytest.mark.parametrize(("of", "fits"), SOFTMAX_LOSSES)
def test_other_losses_are_refused(of, fits, small_net, batch):
    net = small_net()
    base = torch.optim.SGD(net.parameters(), lr=0.1)
    walker = Walker(net, base, lambda m, b: of(m(b.x), b.y))
    if fits:
        FAM().step(walker, batch)
        return
    with pytest.raises(ValueError, match="mean cross-entropy of the softmax of the head's output"):
        FAM().step(walker, batch)


def test_other_networks_are_refused(watched_walker, batch):
    shared = nn.Linear(6, 6).double()
    with pytest.raises(ValueError, match="called once a pass"):
        FAM().step(watched_walker(model=nn.Sequential(shared, nn.Tanh(), shared)), batch)
    convolution = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 3, 6), nn.Flatten())
    with pytest.raises(ValueError, match="needs a linear layer"):
        FAM().step(watched_walker(model=convolution.double()), batch)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="`lam` must be non-negative"):
        FAM(lam=-1.0)
    with pytest.raises(ValueError, match=r"`form` must be one of kappa, kappa_hat. Got 'trace'."):
        FAM(form="trace")
    with pytest.raises(ValueError, match="`gradient` must be one of full, frozen"):
        FAM(gradient="none")
    with pytest.raises(ValueError, match="`warmup` must be a whole number of at least 0"):
        FAM(warmup=-1)
