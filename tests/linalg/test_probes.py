"""Random probes: what they are, and that seeds mean the same everywhere."""

import pytest
import torch

from landscape.linalg import probes

LIKE = torch.zeros(1000, dtype=torch.float64)


def test_signs_are_plus_and_minus_one_in_equal_shares():
    z = torch.stack(list(probes.signs(LIKE, 20, seed=0)))
    assert z.shape == (20, 1000)
    assert z.dtype == torch.float64
    assert set(z.unique().tolist()) == {-1.0, 1.0}
    assert abs(z.mean().item()) < 4.5 / 20_000**0.5


def test_gaussians_have_mean_zero_and_variance_one():
    z = torch.stack(list(probes.gaussians(LIKE, 20, seed=0)))
    assert z.shape == (20, 1000)
    assert z.dtype == torch.float64
    assert abs(z.mean().item()) < 4.5 / 20_000**0.5
    assert abs(z.var().item() - 1) < 4.5 * (2 / 20_000) ** 0.5


@pytest.mark.parametrize("draw", [probes.signs, probes.gaussians])
def test_the_seed_alone_decides(draw):
    """Not the dtype, not how many are drawn, not the global random state."""
    first = list(draw(LIKE, 3, seed=1))
    torch.manual_seed(5)
    longer = list(draw(LIKE.float(), 5, seed=1))
    for a, b in zip(first, longer, strict=False):
        assert torch.equal(a.float(), b)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], next(draw(LIKE, 1, seed=2)))


@pytest.mark.parametrize("draw", [probes.signs, probes.gaussians])
def test_the_global_random_state_is_left_alone(draw):
    before = torch.get_rng_state()
    list(draw(LIKE, 3, seed=1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.gpu
@pytest.mark.parametrize("draw", [probes.signs, probes.gaussians])
def test_devices_agree(draw):
    ours, theirs = next(draw(LIKE, 1, seed=3)), next(draw(LIKE.cuda(), 1, seed=3))
    assert theirs.is_cuda
    assert torch.equal(ours, theirs.cpu())


def test_gaussians_by_number_are_those_of_the_sequence_in_any_order():
    like = torch.zeros(7, dtype=torch.float64)
    sequence = list(probes.gaussians(like, 5, seed=3))
    vector = probes.numbered_gaussians(like, seed=3)
    for number in (2, 0, 4, 4, 1, 3):
        assert torch.equal(vector(number), sequence[number])
