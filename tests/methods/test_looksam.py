"""LookSAM: whose counter it goes by, over what it decomposes, where there is nothing to reuse."""

import pytest
import torch
import torch.nn.functional as F

from landscape.methods import SAM, LookSAM
from landscape.methods.looksam import leftover
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch

SGD, AdamW = torch.optim.SGD, torch.optim.AdamW


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.mark.parametrize("base", [SGD, AdamW])
def test_it_climbs_at_every_kth_step_by_its_own_count(base, small_net, batches):
    """With any base optimizer, whose state may have no count; k + 1 passes in a cycle."""
    net = small_net()
    walker, method = Walker(net, base(net.parameters(), lr=0.01), cross_entropy), LookSAM(k=3)
    passes = []
    for batch in batches(7):
        before = walker.passes
        walker.begin(batch.size)
        method.step(walker, batch)
        passes.append(walker.passes - before)
    assert passes == [2, 1, 1, 2, 1, 1, 2]


def test_steps_within_one_step_of_lookahead_count(stepper, batches):
    """Four steps on one batch are one of the walker: k = 2 climbs at the first and the third."""
    settings = {"lookahead": {"k": 4, "same_batch": True}, "looksam": {"k": 2}}
    ours = stepper("lookahead+looksam", settings)
    ours.step(batches(1)[0])
    assert ours.walker.passes == 2 + 1 + 2 + 1
    assert ours.method.over.t == 4


def test_the_decomposition_is_over_all_tensors(net_walker, batch):
    """Not tensor by tensor, where a g_v would be orthogonal to g in each."""
    walker, method = net_walker(), LookSAM(rho=0.3)
    w, g = walker.w, walker.grad(batch)
    G = walker.grad(batch, at=w + 0.3 * g / g.norm())
    method.step(walker, batch)
    torch.testing.assert_close(method.g_v, G - (G @ g) / (g @ g) * g, rtol=1e-9, atol=1e-14)
    assert abs(method.g_v @ g) < 1e-12 * method.g_v.norm() * g.norm() + 1e-15
    assert any(abs(method.g_v[s] @ g[s]) > 1e-6 for s in walker.layers.values())


def test_the_reused_part_has_its_length_from_the_gradient(net_walker, batch):
    """g + α (‖g‖/‖g_v‖) g_v: α‖g‖ long, however small g_v was."""
    walker, method = net_walker(), LookSAM(rho=1e-6, alpha=0.7)
    method.step(walker, batch)
    w, g = walker.w, walker.grad(batch)
    method.step(walker, batch)
    added = (w - walker.w) / 0.1 - g
    assert added.norm().item() == pytest.approx(0.7 * g.norm().item(), rel=1e-9)
    assert method.g_v.norm() < 1e-5 * g.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_is_not_amplified(dtype, point_walker):
    """Logistic loss of one example, g ∥ G: g_v is rounding, and the step is the base's."""
    x = torch.tensor([1.0, -2.0, 0.3], dtype=dtype)
    walkers = [point_walker([0.3, 0.1, -0.2], lambda m, _: F.softplus(-(x @ m.w))) for _ in "ab"]
    for walker in walkers:
        walker.model.w.data = walker.model.w.data.to(dtype)
    methods, batch = (LookSAM(rho=0.1), SAM(rho=0.1)), Batch(x[None], None)
    walkers = [Walker(w.model, SGD(w.model.parameters(), lr=0.1), w.loss) for w in walkers]
    for walker, method in zip(walkers, methods, strict=True):
        method.step(walker, batch)
    assert torch.equal(walkers[0].w, walkers[1].w)
    methods[0].step(walkers[0], batch)
    walkers[1].descend(walkers[1].grad(batch))
    assert torch.equal(walkers[0].w, walkers[1].w)
    assert not methods[0].g_v.any()


def test_what_is_rounding_is_measured_by_the_perturbed_gradient():
    g = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert not leftover(torch.tensor([1.0, 2e-15], dtype=torch.float64), g).any()
    small = leftover(torch.tensor([1.0, 3e-15], dtype=torch.float64), g)
    assert small.tolist() == [0.0, pytest.approx(3e-15, rel=1e-9)]


def test_shards_climb_and_are_reused_together(stepper, batches):
    """g_v is the mean over the shards; steps between pass shard by shard, as batch norm needs."""
    steps = batches(2)
    ours = stepper("looksam+msam", {"looksam": {"rho": 0.3}, "msam": {"num_shards": 3}})
    w = ours.walker.w
    expected = torch.zeros_like(w)
    for shard in steps[0].shards(3):
        g = ours.walker.grad(shard)
        G = ours.walker.grad(shard, at=w + 0.3 * g / g.norm())
        expected += (G - (G @ g) / (g @ g) * g) / 3
    ours.step(steps[0])
    torch.testing.assert_close(ours.method.g_v, expected, rtol=1e-9, atol=1e-14)
    passes = ours.walker.passes
    ours.step(steps[1])
    assert ours.walker.passes == passes + 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rho": -0.1}, r"`rho` must be non-negative. Got -0.1."),
        ({"alpha": -1.0}, r"`alpha` must be non-negative. Got -1.0."),
        ({"k": 0}, r"`k` must be a whole number of at least 1. Got 0."),
        ({"over": LookSAM()}, r"Got LookSAM: most of its steps do not climb."),
    ],
)
def test_what_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        LookSAM(**setting)
