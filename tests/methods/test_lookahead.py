"""Lookahead around other methods: cycles, their memory, the control of Lookbehind."""

import pytest
import torch

from landscape.methods import ASAM, LETS, SAM, SGD, Lookahead, Lookbehind


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_cycle_against_its_definition(k, net_walker, batches):
    """k steps of SAM with momentum, each on its own batch, then φ + α(f - φ); two cycles."""
    walker, plain = (net_walker(momentum=0.9, weight_decay=5e-4) for _ in range(2))
    method = Lookahead(k=k, alpha=0.3, over=SAM(rho=0.2))
    for i, batch in enumerate(batches(2 * k)):
        slow = plain.w if i % k == 0 else slow  # noqa: F821
        SAM(rho=0.2).step(plain, batch)
        if i % k == k - 1:
            plain.move_to(slow + 0.3 * (plain.w - slow))
        method.step(walker, batch)
        torch.testing.assert_close(walker.w, plain.w, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("over", [None, SAM(), ASAM(), Lookbehind()])
def test_one_batch_for_the_whole_cycle(over, net_walker, batches):
    walker, other = (net_walker(momentum=0.9) for _ in range(2))
    cycles, together = Lookahead(k=3, over=over), Lookahead(k=3, same_batch=True, over=over)
    for batch in batches(2):
        loss = walker.value(batch)
        for _ in range(3):
            cycles.step(other, batch)
        walker.begin(batch.size)
        together.step(walker, batch)
        assert torch.equal(walker.w, other.w)
        torch.testing.assert_close(walker.step_loss, loss)


def test_limits(net_walker, batches):
    """α = 1: as if it were not there; α = 0: nothing moves after a cycle; k = 1: a shorter step."""
    walkers = [net_walker() for _ in range(4)]
    start = walkers[0].w
    methods = [Lookahead(alpha=1.0, over=SAM()), SAM(), Lookahead(alpha=0.0), Lookahead(k=1)]
    first, *rest = batches(4)
    methods[3].step(walkers[3], first)
    sgd = net_walker(lr=0.05)
    SGD().step(sgd, first)
    torch.testing.assert_close(walkers[3].w, sgd.w, rtol=1e-12, atol=1e-14)
    for batch in [first, *rest]:
        for method, walker in zip(methods[:3], walkers[:3], strict=True):
            method.step(walker, batch)
    torch.testing.assert_close(walkers[0].w, walkers[1].w, rtol=1e-12, atol=1e-14)
    assert torch.equal(walkers[2].w, start)


def test_it_resumes_in_the_middle_of_a_cycle(net_walker, batches):
    walker = net_walker()
    method = Lookahead(k=3, over=SAM())
    steps = batches(5)
    for batch in steps[:2]:
        method.step(walker, batch)
    state, other, resumed = method.state_dict(), net_walker(), Lookahead(k=3, over=SAM())
    assert state["taken"] == 2
    other.move_to(walker.w)
    resumed.load_state_dict(state)
    for batch in steps[2:]:
        method.step(walker, batch)
        resumed.step(other, batch)
        assert torch.equal(walker.w, other.w)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"`alpha` must lie in \[0, 1\]. Got 2."):
        Lookahead(alpha=2.0)
    with pytest.raises(ValueError, match="Got LETS: a learned radius goes around everything else"):
        Lookahead(over=LETS())
    with pytest.raises(ValueError, match="Got SGD: it perturbs nothing"):
        Lookahead(over=SGD())
