"""WSAM: where its two forms are one and where not, its learning rates, closures, clipping."""

import pytest
import torch
import torch.nn.functional as F

from landscape.methods import SAM, WSAM
from landscape.methods.walker.walker import Walker
from landscape.optim import wrap

SGD = torch.optim.SGD
Q2 = {"momentum": 0.9, "weight_decay": 0.01}


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def after(steps, method, quadratic_walker, **options):
    walker = quadratic_walker([1.0, 4.0], [1.0, 1.0], **options)
    for _ in range(steps):
        method.step(walker, None)
    return walker.w.tolist()


def test_with_momentum_decoupled_half_is_not_sam(quadratic_walker):
    """γ = 1/2, third step: the sharpness misses the momentum that the gradient has."""
    found = after(3, WSAM(rho=0.1, gamma=0.5), quadratic_walker, **Q2)
    assert found == pytest.approx([0.46681042, -0.55115226], abs=1e-8)
    coupled = after(3, WSAM(rho=0.1, gamma=0.5, decouple=False), quadratic_walker, **Q2)
    assert coupled == after(3, SAM(rho=0.1), quadratic_walker, **Q2)


def test_with_plain_sgd_both_forms_are_one(trained, batches):
    steps = batches(10)
    settings = {"rho": 0.2, "gamma": 0.8}
    forms = [
        trained("wsam", {"wsam": {**settings, "decouple": decouple}}, steps, momentum=0.0, wd=0.1)
        for decouple in (True, False)
    ]
    torch.testing.assert_close(*forms, rtol=1e-11, atol=1e-13)


def test_a_weight_of_nine_overshoots(quadratic_walker):
    assert after(2, WSAM(rho=0.1), quadratic_walker)[1] == pytest.approx(-0.12040459, abs=1e-8)


def test_each_group_has_its_own_rate(small_net, batch):
    """w⁺ = w - η_i (g + a (G - g)) with the rate of each parameter's group."""
    net = small_net()
    groups = [{"params": net[2].parameters(), "lr": 0.02}, {"params": net[0].parameters()}]
    walker = Walker(net, SGD(groups, lr=0.1), cross_entropy)
    w, g = walker.w, walker.grad(batch)
    G = walker.grad(batch, at=w + 0.3 * g / g.norm())
    rates = torch.cat(
        [torch.full_like(w[s], 0.02 if k[0] == "2" else 0.1) for k, s in walker.layers.items()]
    )
    WSAM(rho=0.3, gamma=0.5).step(walker, batch)
    torch.testing.assert_close(walker.w, w - rates * G, rtol=1e-12, atol=1e-14)


def test_a_closure_that_calls_backward_is_not_counted_twice(quadratic_walker):
    """The first gradient is (1, 4), also where the closure leaves its gradient behind."""
    ways = []
    for closed in (True, False):
        walker = quadratic_walker([1.0, 4.0], [1.0, 1.0])
        model, base = walker.model, walker.optimizer
        stepper = wrap(WSAM(rho=0.1), model, base, walker.loss)

        def closure(model=model, base=base, loss=walker.loss):
            base.zero_grad()
            value = loss(model, None)
            value.backward()
            return value

        for _ in range(3):
            stepper.step(closure if closed else (torch.zeros(1, 1), torch.zeros(1)))
        ways.append(model.w.tolist())
    assert ways[0] == pytest.approx(ways[1], abs=1e-14)
    assert ways[1] == pytest.approx([0.58280458629, 0.12580641187], abs=1e-11)


def test_clipping_reaches_what_the_base_optimizer_gets(small_net, batch):
    """Decoupled: g alone, to the length 0.01; the sharpness is added as it is."""
    net = small_net()
    walker = Walker(net, SGD(net.parameters(), lr=0.1), cross_entropy, max_grad_norm=0.01)
    w, g = walker.w, walker.grad(batch)
    G = walker.grad(batch, at=w + 0.3 * g / g.norm())
    WSAM(rho=0.3, gamma=0.5).step(walker, batch)
    expected = w - 0.1 * (0.01 * g / g.norm() + G - g)
    torch.testing.assert_close(walker.w, expected, rtol=1e-12, atol=1e-14)


def test_decay_and_momentum_do_not_see_the_sharpness(small_net, batches):
    """The momentum buffer is that of SGD's gradients at the same points."""
    net = small_net()
    base = SGD(net.parameters(), lr=0.1, **Q2)
    walker, buffer = Walker(net, base, cross_entropy), None
    for batch in batches(3):
        q = walker.grad(batch) + 0.01 * walker.w
        buffer = q if buffer is None else 0.9 * buffer + q
        WSAM(rho=0.3).step(walker, batch)
    kept = torch.cat([base.state[p]["momentum_buffer"].flatten() for p in net.parameters()])
    torch.testing.assert_close(kept, buffer, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("gamma", [1.0, -0.1, float("nan")])
def test_a_gamma_outside_is_refused(gamma):
    with pytest.raises(ValueError, match=r"`gamma` must lie in \[0, 1\). Got "):
        WSAM(gamma=gamma)


def test_a_negative_radius_is_refused():
    with pytest.raises(ValueError, match=r"`rho` must be non-negative. Got -0.1."):
        WSAM(rho=-0.1)
