"""F-SAM: which average is taken away, when it is written, under which other methods it moves."""

import pytest
import torch

from landscape.methods import ASAM, FriendlySAM, make
from landscape.optim import wrap

OUTSIDE = ["friendly-sam", "lets+friendly-sam", "lookahead+friendly-sam", "fam+friendly-sam",
           "gsam+friendly-sam", "looksam+friendly-sam", "wsam+friendly-sam",
           "lets+lookahead+gsam+friendly-sam"]  # fmt: skip


def innermost(method):
    while hasattr(method, "over"):
        method = method.over
    return method


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_average_takes_in_each_step_once(name, stepper, batches):
    """It is that of the gradients at w, by the walker's own passes, wherever F-SAM stands."""
    ours = stepper(name, {"friendly-sam": {"lam": 0.7}})
    m = None
    for batch in batches(4):
        before = len(ours.walker.own)
        ours.step(batch)
        g = ours.walker.own[before]
        m = g if m is None else 0.7 * m + 0.3 * g
    torch.testing.assert_close(innermost(ours.method).m, m, rtol=1e-12, atol=1e-14)
    assert not torch.autograd.forward_ad.unpack_dual(m).tangent


@pytest.mark.parametrize("outside", ["lookbehind", "multistep-sam", "msam", "sam-on"])
def test_it_is_refused_where_it_would_silently_be_sam(outside):
    with pytest.raises(ValueError, match=r"Got FriendlySAM: its average takes in one gradient"):
        make(f"{outside}+friendly-sam")


def test_the_second_step_climbs_against_the_shrunken_gradient(quadratic_walker):
    """Without noise d = g - m points down: not a fault. d by the page of values, SGD at 0.1."""
    walker = quadratic_walker([1.0, 4.0], [1.0, 1.0])
    method, points = FriendlySAM(rho=0.1), []
    look = walker.grad
    walker.grad = lambda batch, at=None: points.append((walker.w, at)) or look(batch, at)
    for _ in range(2):
        method.step(walker, None)
    w, at = points[-1]
    d = torch.tensor([-0.10242536, -1.75522277], dtype=torch.float64)
    torch.testing.assert_close(at - w, 0.1 * d / d.norm(), rtol=0, atol=1e-8)
    assert (at - w) @ (torch.tensor([1.0, 4.0]).double() * w) < 0


def test_climbing_reads_the_average_and_leaves_it(net_walker, batch):
    method, walker = FriendlySAM(), net_walker()
    method.step(walker, batch)
    m = method.m.clone()
    g = walker.grad(batch)
    climbs = [method.climb(walker, g, walker.w, 0.3) for _ in range(3)]
    assert torch.equal(method.m, m) and torch.equal(climbs[0], climbs[2])
    assert climbs[0].norm().item() == pytest.approx(0.3)


def test_adaptive_is_asams_ball_without_eta(net_walker, batch):
    """e = ρ w² d/‖w d‖ in all tensors."""
    walker = net_walker()
    w, g = walker.w, walker.grad(batch)
    method = FriendlySAM(adaptive=True)
    method.remember(0.3 * g.flip(0))
    d = g - 0.3 * g.flip(0)
    e = method.climb(walker, g, w, 0.4)
    torch.testing.assert_close(e, 0.4 * w**2 * d / (w * d).norm(), rtol=1e-12, atol=1e-15)
    asam = ASAM(eta=0.0, scaled="all").climb(walker, d, w, 0.4)
    torch.testing.assert_close(e, asam, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rho": -0.1}, r"`rho` must be non-negative. Got -0.1."),
        ({"sigma": -1.0}, r"`sigma` must be non-negative. Got -1.0."),
        ({"lam": 1.5}, r"`lam` must lie in \[0, 1\]. Got 1.5."),
    ],
)
def test_what_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        FriendlySAM(**setting)


@pytest.mark.parametrize("name", ["friendly-sam", "looksam"])
def test_ranks_that_climb_alone_would_keep_different_states(name, small_net):
    net = small_net()
    base = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=rf"{name} would keep .*distributed=\"global\""):
        wrap(name, net, base, lambda m, b: m(b.x).mean(), distributed="per-rank")
