"""SAM-ON: which parameters its mask takes, where the radius is spent, who descends."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from landscape.methods import AACE, ASAM, SAM, SAMON
from landscape.methods.aace import aace
from landscape.methods.walker.walker import Walker
from landscape.optim import wrap

SGD = torch.optim.SGD


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


class RMSNorm(nn.Module):
    """A normalisation of one's own."""

    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.gain * x / x.square().mean(-1, keepdim=True).sqrt()


class Named(nn.Module):
    """Names that mislead: a batch norm without "norm" or "bn" in its, and a `subnet` with both."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.subnet = nn.Linear(6, 8)
            self.downsample = nn.Sequential(nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8))
            self.group = nn.GroupNorm(2, 8)
            self.layer = nn.LayerNorm(8)
            self.own = RMSNorm(8)
            self.normal_head = parametrizations.weight_norm(nn.Linear(8, 3))
        self.double()

    def forward(self, x):
        x = self.group(torch.tanh(self.downsample(torch.tanh(self.subnet(x)))))
        return self.normal_head(self.own(self.layer(x)))


NORMS = {
    *("downsample.1.weight", "downsample.1.bias", "group.weight", "group.bias"),
    *("layer.weight", "layer.bias", "own.gain"),
}


def looked_at(walker, method, batch):
    """e of the method's look, (n,)."""
    w, seen, look = walker.w, [], walker.value_and_grad
    walker.value_and_grad = lambda b, at=None, loss=None: seen.append(at) or look(b, at, loss)
    method.step(walker, batch)
    return seen[-1] - w


@pytest.mark.parametrize("no_norm", [False, True])
def test_the_mask_goes_by_types(no_norm, batch):
    """Not by names; weight norm is no layer of normalisation. All parameters descend."""
    net = Named()
    walker = Walker(net, SGD(net.parameters(), lr=0.1), cross_entropy)
    w = walker.w
    e = looked_at(walker, SAMON(rho=0.3, no_norm=no_norm), batch)
    perturbed = {name for name, s in walker.layers.items() if e[s].any()}
    assert perturbed == (set(walker.layers) - NORMS if no_norm else NORMS)
    moved = {name for name, s in walker.layers.items() if (walker.w - w)[s].any()}
    assert moved == set(walker.layers)


def test_a_parametrized_norm_and_a_subclass_are_norms(batch):
    class Scaled(nn.BatchNorm1d):
        pass

    net = nn.Sequential(nn.Linear(6, 5), Scaled(5), nn.Linear(5, 3)).double()
    nn.utils.parametrize.register_parametrization(net[1], "weight", nn.Identity())
    walker = Walker(net, SGD(net.parameters(), lr=0.1), cross_entropy)
    e = looked_at(walker, SAMON(rho=0.3), batch)
    perturbed = {name for name, s in walker.layers.items() if e[s].any()}
    assert perturbed == {"1.bias", "1.parametrizations.weight.original"}


def test_the_whole_radius_is_spent_inside_the_mask(batch):
    """‖e‖ = ρ along M g: not SAM's e masked afterwards, which is shorter."""
    net = Named()
    walker = Walker(net, SGD(net.parameters(), lr=0.1), cross_entropy)
    g = walker.grad(batch)
    M = torch.cat([torch.full_like(g[s], float(k in NORMS)) for k, s in walker.layers.items()])
    e = looked_at(walker, SAMON(rho=0.3), batch)
    torch.testing.assert_close(e, 0.3 * M * g / (M * g).norm(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("inside", ["sam", "asam", "aace"])
def test_twenty_steps_against_a_naive_loop(inside, batches):
    """In-place moves of the norms' parameters, with momentum and decay, by autograd alone."""

    def net():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            layers = nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)
            return nn.Sequential(*layers).double()

    over = {"sam": SAM(), "asam": ASAM(eta=0.02, scaled="all"), "aace": AACE()}[inside]
    ours, twin = net(), net()
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    stepper = wrap(
        SAMON(rho=0.3, over=over), ours, SGD(ours.parameters(), **options), cross_entropy
    )
    base, norms = SGD(twin.parameters(), **options), [*twin[1].parameters()]
    attack = (lambda m, b: -aace(m(b.x), b.y).mean()) if inside == "aace" else cross_entropy
    for batch in batches(20):
        stepper.step(batch)
        g = torch.autograd.grad(attack(twin, batch), norms)
        T = [p.detach().abs() + 0.02 if inside == "asam" else torch.ones_like(p) for p in norms]
        length = torch.cat([t * d for t, d in zip(T, g, strict=True)]).norm()
        length = 1.0 if inside == "aace" else length
        kept = [p.detach().clone() for p in norms]
        for p, t, d in zip(norms, T, g, strict=True):
            p.data += 0.3 * t**2 * d / length
        base.zero_grad()
        cross_entropy(twin, batch).backward()
        for p, old in zip(norms, kept, strict=True):
            p.data = old
        base.step()
    for p, q in zip(ours.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_a_model_without_norms_is_refused_before_the_first_step(small_net):
    net = small_net()
    base = SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"SAM-ON needs a trainable parameter in a normalisation"):
        wrap("lookahead+sam-on", net, base, cross_entropy)
    net = nn.LayerNorm(6).double()
    with pytest.raises(ValueError, match=r"outside normalisation layers. Found none: use sam."):
        wrap(SAMON(no_norm=True), net, SGD(net.parameters(), lr=0.1), cross_entropy)
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5, affine=False))
    with pytest.raises(ValueError, match=r"SAM-ON needs a trainable parameter"):
        wrap("sam-on", net, SGD(net.parameters(), lr=0.1), cross_entropy)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"`rho` must be non-negative. Got -0.1."):
        SAMON(rho=-0.1)
