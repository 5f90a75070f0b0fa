"""FAM on a softmax head, its closed form: gradient, warm-up, guard, settings."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.functional import hessian

from landscape.methods import FAM
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch


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
    h = hessian(lambda w: F.cross_entropy(phi @ w.T + bias, batch.y), weight)
    t = torch.einsum("stut->su", h)
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
    with pytest.raises(ValueError, match="'spare': the loss does not depend on its weight"):
        FAM().step(watched_walker(model=Named()), batch)
    walker = watched_walker(model=Named())
    FAM(layer="head").step(walker, batch)
    assert walker.logged["kappa"] > 0
    with pytest.raises(ValueError, match=r"'heat'. Did you mean 'head'\? Known: head, spare."):
        FAM(layer="heat").step(walker, batch)


SOFTMAX_LOSSES = [
    (lambda z, y: F.cross_entropy(z, y), True),
    (lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1), True),
    (lambda z, y: F.nll_loss(z.log_softmax(-1), y), True),
    (lambda z, y: F.cross_entropy(z, F.one_hot(y, 3).double()), True),
    (lambda z, y: F.cross_entropy(z / 2, y), False),
    (lambda z, y: F.cross_entropy(z, y, reduction="sum"), False),
    (lambda z, y: F.cross_entropy(z.relu(), y), False),
    (lambda z, y: F.mse_loss(z, F.one_hot(y, 3).double()), False),
]


@pytest.mark.parametrize(("of", "fits"), SOFTMAX_LOSSES)
def test_other_losses_go_another_way(of, fits, small_net, batch):
    net = small_net()
    base = torch.optim.SGD(net.parameters(), lr=0.1)
    walker, fam = Walker(net, base, lambda m, b: of(m(b.x), b.y)), FAM()
    fam.step(walker, batch)
    assert fam.way == ("closed" if fits else "exact")


def test_a_loss_without_curvature_is_refused(small_net, batch):
    net = small_net()
    walker = Walker(net, torch.optim.SGD(net.parameters(), lr=0.1), lambda m, b: m(b.x).mean())
    with pytest.raises(ValueError, match="linear there, so its relative flatness is 0"):
        FAM().step(walker, batch)


@pytest.mark.parametrize("form", ["kappa", "kappa_hat"])
def test_ignored_labels_do_not_count(form, watched_walker, batch):
    """The step is that on the batch without them."""
    y = batch.y.clone()
    y[::3] = -100
    kept = y >= 0
    found = []
    for part in (Batch(batch.x, y), Batch(batch.x[kept], y[kept])):
        walker, fam = watched_walker(), FAM(lam=0.7, form=form)
        fam.step(walker, part)
        assert fam.way == "closed"
        found.append(walker.descents[0][1])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_head_is_known_in_other_precisions(dtype, small_net, batch):
    """bfloat16 by autocast; κ itself in float32."""
    net = small_net(hidden=32).float()
    base = torch.optim.SGD(net.parameters(), lr=0.1)
    cast = None if dtype == torch.float32 else dtype
    walker = Walker(net, base, lambda m, b: F.cross_entropy(m(b.x), b.y), autocast=cast)
    fam = FAM()
    fam.step(walker, Batch(batch.x.float(), batch.y))
    assert (fam.way, walker.logged["kappa"].dtype) == ("closed", torch.float32)


def test_batch_norm_and_random_state_are_those_of_the_plain_pass(watched_walker, batch):
    """F10, on the first step too, which finds its way."""
    net = {"batch_norm": True, "dropout": 0.3}
    ours, plain = watched_walker(net=net), watched_walker(net=net)
    loss = plain.value_and_grad(batch)[0]
    FAM(lam=1.0).step(ours, batch)
    torch.testing.assert_close(ours.logged["loss"], loss, rtol=1e-12, atol=0)
    pairs = zip(ours.model.buffers(), plain.model.buffers(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_only_convolutions_need_a_name(watched_walker, batch):
    net = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 3, 6), nn.Flatten()).double()
    with pytest.raises(ValueError, match="needs a linear layer that the forward pass calls"):
        FAM().step(watched_walker(model=net), batch)
    FAM(layer="1").step(watched_walker(model=net), batch)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="`lam` must be non-negative"):
        FAM(lam=-1.0)
    with pytest.raises(ValueError, match=r"`form` must be one of kappa, kappa_hat. Got 'trace'."):
        FAM(form="trace")
    with pytest.raises(ValueError, match="`gradient` must be one of full, frozen"):
        FAM(gradient="none")
    with pytest.raises(ValueError, match="`warmup` must be a whole number of at least 0"):
        FAM(warmup=-1)
    with pytest.raises(ValueError, match="`draws` must be a whole number of at least 1"):
        FAM(draws=0)
