"""ASAM against its formula, its ball and its invariance."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.methods import ASAM, ascent
from landscape.methods.walker.walker import Walker

SGD = torch.optim.SGD


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def ascent_of(method, net, batch):
    walker = Walker(net, SGD(net.parameters(), lr=0.1), cross_entropy)
    w, g = walker.w, walker.grad(batch)
    return walker, w, g, method.climb(walker, g, w, method.rho)


def test_the_formula_tensor_by_tensor(small_net, batch):
    """e = ρ T²g/‖Tg‖, T = |w| + η in weights, 1 in biases, one norm over all of them."""
    net = small_net()
    walker, _, _, e = ascent_of(ASAM(rho=0.5, eta=0.01), net, batch)
    loss = F.cross_entropy(net(batch.x), batch.y)
    g = dict(zip(walker.layers, torch.autograd.grad(loss, [*net.parameters()]), strict=True))
    t = {k: p.abs() + 0.01 if "weight" in k else 1.0 for k, p in net.named_parameters()}
    norm = torch.stack([(t[k] * g[k]).norm() for k in g]).norm()
    for k, part in walker.layers.items():
        torch.testing.assert_close(e[part], (0.5 * t[k] ** 2 * g[k] / norm).detach().flatten())


def test_the_ascent_reaches_its_ball(small_net, batch):
    """‖e/T‖ = ρ; with T = 1 it is SAM's."""
    walker, w, _, e = ascent_of(ASAM(rho=0.5), small_net(), batch)
    t = torch.ones_like(w)
    for name, part in walker.layers.items():
        if name.endswith("weight"):
            t[part] = w[part].abs() + 0.01
    assert (e / t).norm().item() == pytest.approx(0.5)


def test_zero_weights_stay_without_eta(small_net, batch):
    net = small_net()
    nn.init.zeros_(net[2].weight)
    walker, _, g, e = ascent_of(ASAM(rho=0.5, eta=0.0), net, batch)
    part = walker.layers["2.weight"]
    assert e[part].abs().sum() == 0 < g[part].abs().sum()


def test_rescaled_layers_are_perturbed_to_the_same_function(batch):
    """W₁c, W₂/c without biases, η = 0: the perturbed network computes the same (SAM's does not)."""

    def perturbed(c, method):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 3, bias=False))
        net = net.double()
        net[0].weight.data *= c
        net[2].weight.data /= c
        walker, w, _, e = ascent_of(method, net, batch)
        return walker.value(batch, at=w + e)

    with torch.random.fork_rng():
        asam = ASAM(rho=0.3, eta=0.0)
        torch.testing.assert_close(perturbed(1.0, asam), perturbed(3.0, asam), rtol=1e-10, atol=0)


def test_the_path_of_modules_does_not_count(batch):
    """A module called weighting does not make its bias a weight."""
    net = nn.Sequential()
    net.add_module("weighting", nn.Linear(6, 3).double())
    walker, _, g, e = ascent_of(ASAM(), net, batch)
    bias = walker.layers["weighting.bias"]
    ratio = e[bias] / g[bias]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


def test_negative_settings_are_refused():
    with pytest.raises(ValueError, match=r"`eta` must be non-negative. Got -1."):
        ASAM(eta=-1.0)


@pytest.mark.parametrize(
    ("scaled", "names"),
    [
        ("weights", ["0.weight", "2.weight"]),
        ("all", ["0.weight", "0.bias", "2.weight", "2.bias"]),
        ("2.*", ["2.weight", "2.bias"]),
        ("*.weight", ["0.weight", "2.weight"]),
    ],
)
def test_the_scaled_tensors_are_chosen(scaled, names, small_net, batch):
    """e/g is one number in all tensors with T = 1, and (|w| + η)² times it in the others."""
    walker, w, g, e = ascent_of(ASAM(eta=0.1, scaled=scaled), small_net(), batch)
    t = torch.ones_like(w)
    for name in names:
        t[walker.layers[name]] = w[walker.layers[name]].abs() + 0.1
    torch.testing.assert_close(e, 0.5 * t**2 * g / (t * g).norm())


def test_a_pattern_that_fits_nothing_is_refused(small_net, batch):
    with pytest.raises(ValueError, match=r"Got 'head\.\*', parameters are 0.weight, 0"):
        ascent_of(ASAM(scaled="head.*"), small_net(), batch)


def test_without_scaling_it_is_sam(small_net, batch):
    """T = 1 in every tensor: no name has a weight in it but the pattern's."""
    _, w, g, _ = ascent_of(ASAM(), small_net(), batch)
    everything = [slice(0, len(w))]
    found = ascent.asam(g, w, 0.3, 0.01, everything)
    torch.testing.assert_close(found, ascent.sam(g, w, 0.3))
