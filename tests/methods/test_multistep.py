"""Multistep-SAM against the spec's table, its parts and Lookbehind."""

import pytest
import torch

from landscape.methods import AACE, ASAM, LETS, MSAM, SAM, Lookbehind, MultistepSAM

# H = diag(1, 10), w = (1, 1), rho 0.1, lr 0.05, plain SGD
TABLE = {
    1: (0.949502481405, 0.450248140490),
    2: (0.949045131207, 0.400457749051),
    3: (0.948621709587, 0.350637357511),
    5: (0.947858123078, 0.250929635179),
}


@pytest.mark.parametrize("k", TABLE)
def test_two_dimensions(k, quadratic_walker):
    walker = quadratic_walker([1.0, 10.0], [1.0, 1.0], lr=0.05)
    MultistepSAM(rho=0.1, k=k).step(walker, None)
    torch.testing.assert_close(walker.w.tolist(), list(TABLE[k]), rtol=0, atol=2e-12)


def test_a_split_radius_is_shared_out(net_walker, batch):
    walker, other = net_walker(), net_walker()
    MultistepSAM(rho=0.3, k=3, split=True).step(walker, batch)
    MultistepSAM(rho=0.1, k=3).step(other, batch)
    torch.testing.assert_close(walker.w, other.w, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("over", [None, ASAM(), MSAM(num_shards=3), AACE()])
def test_the_average_is_lookbehind_at_one_over_k(over, net_walker, batch):
    """With plain SGD, whatever climbs."""
    walker, other = net_walker(), net_walker()
    MultistepSAM(k=3, average=True, over=over).step(walker, batch)
    Lookbehind(k=3, alpha=1 / 3, over=over).step(other, batch)
    torch.testing.assert_close(walker.w, other.w, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({"k": 4}, 5),
        ({"k": 4, "average": True}, 5),
        ({"k": 4, "over": AACE()}, 5),
        ({"k": 4, "average": True, "over": AACE()}, 8),
        ({"k": 4, "over": MSAM(num_shards=2)}, 10),
    ],
)
def test_passes(settings, passes, net_walker, batch):
    walker = net_walker()
    MultistepSAM(**settings).step(walker, batch)
    assert walker.passes == passes


def test_the_radius_is_that_of_the_method_inside(net_walker, batch):
    walkers = [net_walker() for _ in range(3)]
    MultistepSAM(over=SAM(rho=0.4)).step(walkers[0], batch)
    MultistepSAM(rho=0.4, over=SAM(rho=9.0)).step(walkers[1], batch)
    MultistepSAM(rho=0.4).step(walkers[2], batch)
    assert torch.equal(walkers[0].w, walkers[1].w)
    assert torch.equal(walkers[0].w, walkers[2].w)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"`k` must be a whole number of at least 1. Got 0."):
        MultistepSAM(k=0)
    with pytest.raises(ValueError, match="Got LETS: a learned radius goes around everything else"):
        MultistepSAM(over=LETS())
