"""SAM against its paper's box and a quadratic by hand."""

import pytest
import torch
import torch.nn.functional as F

from landscape.methods import SAM, ascent


def test_one_step_on_a_quadratic_by_hand(quadratic_walker):
    """L = wᵀAw/2, A = diag(1, 10), w = (1, 1): g = (1, 10), e = ρ g/√101, w⁺ = w - η A(w + e)."""
    walker = quadratic_walker(diagonal=[1.0, 10.0], start=[1.0, 1.0], lr=0.05)
    SAM(rho=0.1).step(walker, batch=None)
    expected = [1 - 0.05 * (1 + 0.1 / 101**0.5), 1 - 0.5 * (1 + 1.0 / 101**0.5)]
    torch.testing.assert_close(walker.w.tolist(), expected, rtol=1e-12, atol=0)


def test_a_step_logs_the_length_of_its_climb(quadratic_walker):
    """ρ, or where it is not normalised ρ ‖g‖ with g = (1, 10)."""
    for method, length in ((SAM(rho=0.1), 0.1), (SAM(rho=0.1, normalize=False), 0.1 * 101**0.5)):
        walker = quadratic_walker(diagonal=[1.0, 10.0], start=[1.0, 1.0], lr=0.05)
        method.step(walker, batch=None)
        assert walker.logged["climb_norm"].item() == pytest.approx(length, rel=1e-12)


def test_against_the_box(trained, small_net, batches):
    """Algorithm 1 with the weights moved in place, momentum and weight decay in the optimizer."""
    net = small_net()
    base = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for batch in batches(10):
        S = (batch.x, batch.y)
        g = torch.autograd.grad(F.cross_entropy(net(S[0]), S[1]), [*net.parameters()])
        norm = torch.cat([t.flatten() for t in g]).norm()
        kept = [p.detach().clone() for p in net.parameters()]
        for p, t in zip(net.parameters(), g, strict=True):
            p.data += 0.3 * t / norm
        base.zero_grad()
        F.cross_entropy(net(S[0]), S[1]).backward()
        for p, old in zip(net.parameters(), kept, strict=True):
            p.data = old
        base.step()
    expected = torch.cat([p.detach().flatten() for p in net.parameters()])
    ours = trained("sam", {"sam": {"rho": 0.3}}, batches(10))
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-13)


def test_the_ascent_has_the_length_of_the_radius(batch):
    g = batch.x.flatten()
    assert ascent.sam(g, g, 0.3).norm().item() == pytest.approx(0.3)
    assert torch.equal(ascent.sam(0 * g, g, 0.3), 0 * g)
    torch.testing.assert_close(ascent.sam(7.0 * g, g, 0.3), ascent.sam(g, g, 0.3))


def test_a_negative_radius_is_refused():
    with pytest.raises(ValueError, match=r"`rho` must be non-negative. Got -0.1."):
        SAM(rho=-0.1)
    with pytest.raises(ValueError, match=r"`rho` must be non-negative. Got nan."):
        SAM(rho=float("nan"))


def test_unnormalised_climb(quadratic_walker):
    """e = ρ g, as long as the gradient: w⁺ = w - η A(w + ρ A w)."""
    walker = quadratic_walker(diagonal=[1.0, 10.0], start=[1.0, 1.0], lr=0.05)
    SAM(rho=0.05, normalize=False).step(walker, batch=None)
    expected = [1 - 0.05 * 1.05, 1 - 0.5 * 1.5]
    torch.testing.assert_close(walker.w.tolist(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_small_gradients_keep_their_direction(dtype):
    """Down to the square root of what the type holds; a zero gradient stays zero."""
    g = torch.tensor([3.0, 4.0], dtype=dtype) * (1e-15 if dtype != torch.float64 else 1e-150)
    e = ascent.sam(g, g, 1.0)
    torch.testing.assert_close(e.double(), torch.tensor([0.6, 0.8]).double(), rtol=0.01, atol=0)
    assert torch.equal(ascent.sam(0 * g, g, 1.0), 0 * g)
    assert torch.isfinite(ascent.sam(g * torch.finfo(dtype).tiny ** 0.5, g, 1.0)).all()
