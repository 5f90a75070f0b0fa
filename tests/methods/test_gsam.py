"""GSAM: the schedule of its radius, the decomposition over all coordinates, its limits."""

import pytest
import torch
import torch.nn.functional as F

from landscape.methods import ASAM, GSAM, ascent
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.optim import wrap

VIT = {"rho": 0.6, "rho_min": 0.1, "lr_max": 0.003, "lr_min": 3e-5}  # the authors' JAX settings


def radius_at(lr, quadratic_walker, **settings):
    """The distance of the first look."""
    walker, seen = quadratic_walker([1.0, 4.0], [1.0, 1.0], lr=lr), []
    w, look = walker.w, walker.grad
    walker.grad = lambda batch, at=None: seen.append(at) or look(batch, at)
    GSAM(**settings).step(walker, None)
    assert ("rho_t" in walker.logged) == ("rho_min" in settings)
    return (seen[-1] - w).norm().item()


@pytest.mark.parametrize(
    ("lr", "rho_t"),
    [(0.003, 0.6), (3e-5, 0.1), (0.0, 0.09494949494949495), (0.001515, 0.35), (0.006, 1.105050505)],
)
def test_the_radius_follows_the_learning_rate(lr, rho_t, quadratic_walker):
    """Linearly, and not clamped: below rho_min where a warm-up starts below lr_min."""
    assert radius_at(lr, quadratic_walker, **VIT) == pytest.approx(rho_t, rel=1e-8)


def test_without_a_span_of_rates_the_radius_is_the_largest(quadratic_walker):
    settings = {"rho": 0.6, "rho_min": 0.1, "lr_max": 0.1, "lr_min": 0.1}
    assert radius_at(0.1, quadratic_walker, **settings) == pytest.approx(0.6)
    assert radius_at(0.05, quadratic_walker, rho=0.6) == pytest.approx(0.6)


def test_the_largest_rate_is_that_of_the_start(small_net, batches):
    """Of the optimizer, and of torch's scheduler, which keeps it once the rate has fallen."""
    net = small_net()
    base = torch.optim.SGD(net.parameters(), lr=0.2)
    stepper = wrap(GSAM(rho=0.4, rho_min=0.1), net, base, cross_entropy)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(stepper, 4)
    radii, rates = [], []
    for batch in batches(4):
        stepper.step(batch)
        radii.append(float(stepper.walker.logged["rho_t"]))
        rates.append(base.param_groups[0]["lr"])
        scheduler.step()
    assert radii == pytest.approx([0.1 + 0.3 * rate / 0.2 for rate in rates])
    assert rates[-1] < 0.1


def test_several_optimizers_do_not_tell_it(small_net, batch):
    net = small_net()
    bases = [torch.optim.SGD(net[i].parameters(), lr=0.1) for i in (0, 2)]
    stepper = wrap(GSAM(rho_min=0.01), net, bases, cross_entropy)
    with pytest.raises(ValueError, match=r"`rho_min` needs the largest learning rate.*`lr_max`"):
        stepper.step(batch)
    wrap(GSAM(rho_min=0.01, lr_max=0.1), net, bases, cross_entropy).step(batch)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def test_the_part_that_is_removed_leaves_the_perturbed_loss_alone(net_walker, batch):
    """⟨G - α g_⊥, G⟩ = ‖G‖²: over all tensors together, not in each."""
    walker = net_walker()
    w, g = walker.w, walker.grad(batch)
    G = walker.grad(batch, at=w + 0.3 * g / g.norm())
    removed = ascent.orthogonal(g, G)
    torch.testing.assert_close(removed, g - (g @ G) / (G @ G) * G, rtol=1e-10, atol=1e-15)
    assert abs((removed @ G) / (removed.norm() * G.norm())) < 1e-12
    assert any(abs(removed[s] @ G[s]) > 1e-6 for s in walker.layers.values())
    GSAM(rho=0.3).step(walker, batch)
    torch.testing.assert_close(walker.w, w - 0.1 * (G - 0.4 * removed), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 1e-150])
def test_parallel_gradients_leave_sam(scale, point_walker):
    """One example of logistic regression: gradients lie along x. Tiny ones do not overflow."""
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    ways = []
    for method in (GSAM(rho=0.1), ascent.Ascent()):
        walker = point_walker([0.3, 0.1, -0.2], lambda m, _: scale * F.softplus(-(x @ m.w)))
        method.rho = 0.1
        seen, descend = [], walker.descend
        walker.descend = lambda g, seen=seen, descend=descend: seen.append(g / scale) or descend(g)
        method.step(walker, Batch(x[None], None))
        ways.append(seen[0])
    torch.testing.assert_close(*ways, rtol=1e-12, atol=1e-15)


def test_without_a_radius_it_is_the_base_to_rounding(trained, batches):
    steps = batches(10)
    for fp in (True, False):
        ours = trained("gsam", {"gsam": {"rho": 0.0, "minimize_fp": fp}}, steps)
        torch.testing.assert_close(ours, trained("sgd", {}, steps), rtol=1e-12, atol=1e-14)


def test_a_zero_gradient_stays_where_it_is(quadratic_walker):
    walker = quadratic_walker([1.0, 4.0], [0.0, 0.0])
    GSAM().step(walker, None)
    assert walker.w.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rho": -0.1}, r"`rho` must be non-negative. Got -0.1."),
        ({"alpha": -0.4}, r"`alpha` must be non-negative. Got -0.4."),
        ({"rho_min": -0.1}, r"`rho_min` must be non-negative. Got -0.1."),
        ({"rho": 0.05, "rho_min": 0.1}, r"`rho_min` must be at most the radius, 0.05. Got 0.1."),
        ({"lr_max": 0.1, "lr_min": 0.2}, r"`lr_max` must be at least `lr_min`. Got 0.1."),
        ({"over": GSAM()}, r"Got GSAM: its descent mixes two gradients."),
    ],
)
def test_what_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        GSAM(**setting)


def test_the_ends_of_the_radius_are_in_order_where_the_inner_one_is_known(net_walker, batch):
    GSAM(rho_min=0.1)  # as settings are checked, before a method comes inside
    with pytest.raises(ValueError, match=r"`rho_min` must be at most the radius, 0.05. Got 0.1."):
        GSAM(rho_min=0.1).step(net_walker(), batch)
    GSAM(rho_min=0.1, over=ASAM()).step(net_walker(), batch)
    with pytest.raises(ValueError, match=r"at most the radius, 0.5. Got 0.6."):
        GSAM(rho_min=0.6, over=ASAM())


def test_the_first_group_sets_the_rate(small_net, batch):
    net = small_net()
    groups = [
        {"params": net[2].parameters(), "lr": 0.05},
        {"params": net[0].parameters(), "lr": 0.4},
    ]
    walker = Walker(net, torch.optim.SGD(groups, lr=0.1), cross_entropy)
    GSAM(rho=0.3, rho_min=0.1, lr_max=0.1).step(walker, batch)
    assert walker.logged["rho_t"] == pytest.approx(0.2)
