"""The walker and its response: what methods rest on."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch

SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW

OPTIMIZERS = [
    (SGD, {}),
    (SGD, {"momentum": 0.9, "weight_decay": 0.05}),
    (SGD, {"momentum": 0.9, "dampening": 0.3}),
    (SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    (SGD, {"momentum": 0.9, "dampening": 0.3, "maximize": True}),
    (Adam, {}),
    (Adam, {"weight_decay": 0.1, "betas": (0.8, 0.95)}),
    (Adam, {"weight_decay": 0.1, "maximize": True}),
    (AdamW, {"weight_decay": 0.1}),
]
START = [0.7, -1.2, 0.4, 2.0]


def loss(model, _):
    return (model.w**4).sum() / 4 + model.w.prod()


@pytest.mark.parametrize("max_grad_norm", [None, 1.5])
@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZERS)
def test_response_is_the_derivative_of_the_step(
    optimizer, options, steps, max_grad_norm, point_walker
):
    """Central difference through the real optimizer, at its first step and with a history."""
    walker = point_walker(START, loss, 0.1, optimizer, {"max_grad_norm": max_grad_norm}, **options)
    for _ in range(steps):
        walker.descend(walker.grad(None))
    g, u = walker.grad(None), torch.tensor([0.3, -0.5, 1.0, 0.2], dtype=torch.float64)

    def after(h):
        twin = copy.deepcopy(walker.model)
        base = optimizer(twin.parameters(), lr=0.1, **options)
        base.load_state_dict(copy.deepcopy(walker.optimizer.state_dict()))
        other = Walker(twin, base, loss, max_grad_norm=max_grad_norm)
        other.descend(g + h * u)
        return other.w

    expected = (after(1e-5) - after(-1e-5)) / 2e-5
    walker.descend(g)
    torch.testing.assert_close(walker.response(u), expected, rtol=1e-6, atol=1e-9)


def test_response_knows_groups(small_net, batch):
    net = small_net()
    groups = [{"params": net[0].parameters(), "lr": 0.1}, {"params": net[2].parameters()}]
    walker = Walker(net, SGD(groups, lr=0.01), lambda m, b: m(b.x).square().mean())
    walker.descend(walker.grad(batch))
    u = torch.ones_like(walker.w)
    expected = torch.full_like(u, -0.1)
    expected[walker.layers["2.weight"].start :] = -0.01
    torch.testing.assert_close(walker.response(u), expected)


def test_response_needs_a_step_and_a_known_optimizer(point_walker):
    walker = point_walker(START, loss, optimizer=torch.optim.RMSprop)
    with pytest.raises(ValueError, match="call `descend` first"):
        walker.response(walker.w)
    walker.descend(walker.grad(None))
    with pytest.raises(ValueError, match=r"known for SGD, Adam and AdamW. Got RMSprop"):
        walker.response(walker.w)


def test_gradient_and_hessian_by_hand(quadratic_walker):
    """L = wᵀ diag(1, 10) w / 2: ∇L = (1, 10)∘w, HV = (1, 10)∘v, wherever one looks."""
    walker = quadratic_walker(diagonal=[1.0, 10.0], start=[1.0, 1.0])
    at = torch.tensor([2.0, 3.0], dtype=torch.float64)
    assert walker.grad(None).tolist() == [1.0, 10.0]
    assert walker.grad(None, at=at).tolist() == [2.0, 30.0]
    assert walker.value(None, at=at).item() == 2.0 + 45.0
    assert walker.hvp(None, at, at=walker.w).tolist() == [2.0, 30.0]
    assert walker.w.tolist() == [1.0, 1.0]
    assert walker.passes == 3


def test_clipping_keeps_the_direction(quadratic_walker):
    walker = quadratic_walker([1.0, 1.0], [3.0, 4.0], lr=1.0, walker={"max_grad_norm": 1.0})
    walker.descend(walker.grad(None))
    torch.testing.assert_close(walker.w.tolist(), [3.0 - 0.6, 4.0 - 0.8])


@pytest.mark.parametrize("look", [False, True])
def test_only_the_own_pass_moves_batch_norm(look, net_walker, batch):
    """R2: a look leaves no trace even at w itself."""
    walker = net_walker(batch_norm=True)
    before = walker.model[1].running_mean.clone()
    walker.grad(batch, at=walker.w if look else None)
    assert torch.equal(before, walker.model[1].running_mean) == look
    assert walker.model[1].num_batches_tracked == (0 if look else 1)


def test_step_loss_is_the_mean_over_own_passes(net_walker, batch):
    """By examples, also where the shards differ in size; looks do not count."""
    walker = net_walker()
    walker.begin(batch.size)
    for shard in batch.shards(5):
        walker.grad(shard)
        walker.grad(shard, at=walker.w + 1.0)
    expected = F.cross_entropy(walker.model(batch.x), batch.y).detach()
    torch.testing.assert_close(walker.step_loss, expected)
    assert walker.grad_evals == pytest.approx(2.0)


@pytest.mark.parametrize("foreach", [False, True])
def test_the_base_step_leaves_the_gradient_alone(foreach, small_net, batch):
    """R11: torch's foreach Nesterov writes into `.grad`."""
    net = small_net()
    sgd = SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, foreach=foreach)
    walker = Walker(net, sgd, lambda m, b: m(b.x).square().mean())
    for _ in range(2):
        g = walker.grad(batch)
        kept = g.clone()
        walker.descend(g)
        assert torch.equal(g, kept)


def test_weights_changed_under_autocast_are_seen(small_net, batch):
    """R6: each point has its own autocast block, so the cast of the weights is not cached."""
    net = small_net().float()
    walker = Walker(
        net,
        SGD(net.parameters(), lr=0.1),
        lambda m, b: F.cross_entropy(m(b.x), b.y),
        autocast=torch.bfloat16,
    )
    single = Batch(batch.x.float(), batch.y)
    assert walker.value(single) != walker.value(single, at=walker.w + 0.5)


def test_an_optimizer_without_all_parameters_is_refused(small_net):
    net = small_net()
    with pytest.raises(ValueError, match=r"must hold every trainable parameter. Missing: 2.weight"):
        Walker(net, SGD(net[0].parameters(), lr=0.1), loss)


def test_held_out_data_is_cycled(net_walker, batches):
    held_out = batches(2)
    walker = net_walker(walker={"held_out": held_out})
    assert [held_out.index(walker.held_out()) for _ in range(5)] == [0, 1, 0, 1, 0]
    with pytest.raises(ValueError, match="needs held-out data"):
        net_walker().held_out()
    with pytest.raises(ValueError, match="must hold at least one batch"):
        net_walker(walker={"held_out": []}).held_out()
    with pytest.raises(ValueError, match="needs fresh training batches"):
        net_walker().fresh()


def test_a_loss_that_is_no_mean_is_refused(small_net, batch):
    net = small_net()
    walker = Walker(net, SGD(net.parameters(), lr=0.1), lambda m, b: m(b.x))
    with pytest.raises(ValueError, match=r"of shape \(\). Got shape \(12, 3\)"):
        walker.grad(batch)


def test_an_unused_parameter_has_gradient_zero(batch):
    net = nn.ModuleList([nn.Linear(6, 3), nn.Linear(6, 3)]).double()
    walker = Walker(net, SGD(net.parameters(), lr=0.1), lambda m, b: m[0](b.x).mean())
    g = walker.grad(batch)
    assert g[walker.layers["1.weight"]].abs().sum() == 0
    assert g[walker.layers["0.weight"]].abs().sum() > 0


def test_recomputed_activations_are_those_of_the_point_looked_at(small_net, batch):
    """Activation checkpointing runs the forward pass again during backward."""
    from torch.utils.checkpoint import checkpoint

    net = small_net()
    plain = Walker(net, SGD(net.parameters(), lr=0.1), lambda m, b: m(b.x).square().mean())
    again = Walker(
        net,
        SGD(net.parameters(), lr=0.1),
        lambda m, b: checkpoint(m, b.x, use_reentrant=False).square().mean(),
    )
    at = plain.w + 0.5
    assert torch.equal(plain.grad(batch, at=at), again.grad(batch, at=at))


def test_another_loss_stands_in_and_the_own_one_comes_back(small_net, batch):
    net = small_net()
    walker = Walker(net, SGD(net.parameters(), lr=0.1), lambda m, b: m(b.x).square().mean())
    own, g = walker.loss, walker.grad(batch)
    with pytest.raises(RuntimeError), walker.minimising(lambda m, b: 3 * own(m, b)):
        torch.testing.assert_close(walker.grad(batch), 3 * g)
        raise RuntimeError
    assert walker.loss is own


def test_a_look_that_raises_puts_modes_and_buffers_back(small_net, batch):
    """R1: also where batch norm has moved and the loss has switched the mode."""
    net = small_net(batch_norm=True)

    def loss(model, b):
        model(b.x)
        model.eval()
        raise RuntimeError

    walker = Walker(net, SGD(net.parameters(), lr=0.1), loss)
    buffers = [(b, b.clone()) for b in net.buffers()]
    for look in (walker.grad, walker.value):
        with pytest.raises(RuntimeError):
            look(batch, at=walker.w + 1.0)
        assert all(m.training for m in net.modules())
        assert all(a is b for a, (b, _) in zip(net.buffers(), buffers, strict=True))
        assert all(torch.equal(*pair) for pair in buffers)


def test_masks_change_from_step_to_step(net_walker, batch):
    """R5: at one point, on one batch, in the first pass of each step."""
    walker = net_walker(dropout=0.5)
    first = walker.grad(batch)
    walker.begin(batch.size)
    assert not torch.equal(walker.grad(batch), first)


def test_w_is_the_callers_to_write_into(net_walker, batch):
    """R11: neither where the walker stands nor its gradient follows."""
    walker = net_walker()
    w, g = walker.w, walker.grad(batch)
    kept, expected = w.clone(), g.clone()
    w += 1.0
    g.zero_()
    assert torch.equal(walker.w, kept)
    assert torch.equal(walker.grad(batch), expected)


@pytest.mark.parametrize("norm", [-1.0, 0.0, float("nan"), float("inf"), "1", True])
def test_a_clip_that_is_no_length_is_refused(norm, quadratic_walker):
    """A negative one would climb, NaN destroy the weights, zero freeze them."""
    with pytest.raises(ValueError, match=r"`max_grad_norm` must be positive.* Got "):
        quadratic_walker([1.0, 1.0], [3.0, 4.0], lr=1.0, walker={"max_grad_norm": norm})
