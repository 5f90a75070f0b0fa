"""Hooks on parameters act on every gradient, as in a plain loop with torch's backward."""

import copy

import pytest
import torch
import torch.nn.functional as F

from landscape import optim
from landscape.methods import MSAM, make

MASK = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def plain_sam(model, optimizer, batches, rho):
    """SAM with torch's own backward; the batches of a step accumulate, each by its share."""
    total = sum(batch.size for batch in batches)

    def gradients():
        optimizer.zero_grad()
        for batch in batches:
            (cross_entropy(model, batch) * (batch.size / total)).backward()
        return [p.grad for p in model.parameters()]

    g = gradients()
    norm = torch.sqrt(sum(t.square().sum() for t in g))
    start = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for p, t in zip(model.parameters(), g, strict=True):
            p += rho * t / norm
    gradients()
    with torch.no_grad():
        for p, t in zip(model.parameters(), start, strict=True):
            p.copy_(t)
    optimizer.step()


def masked(p):
    p.register_hook(lambda g: g * MASK[:, None])


def clamped(p):
    p.register_hook(lambda g: g.clamp(-0.01, 0.01))
    p.register_hook(lambda g: 2 * g)


def clamped_after(p):
    def clamp(p):
        p.grad.clamp_(-0.02, 0.02)

    p.register_post_accumulate_grad_hook(clamp)


def scaled_after(p):
    def scale(p):
        p.grad = p.grad * 0.5

    p.register_post_accumulate_grad_hook(scale)


@pytest.mark.parametrize("accumulated", [1, 3])
@pytest.mark.parametrize("hook", [masked, clamped, clamped_after, scaled_after])
def test_a_plain_loop(hook, accumulated, small_net, batches):
    ours, plain = small_net(), small_net()
    for model in (ours, plain):
        hook(model[-1].weight)
    sgd = [torch.optim.SGD(m.parameters(), lr=0.2, momentum=0.9) for m in (ours, plain)]
    stepper = optim.wrap("sam", ours, sgd[0], cross_entropy)
    steps = batches(4 * accumulated)
    for i in range(0, len(steps), accumulated):
        step = steps[i : i + accumulated]
        stepper.step(step if accumulated > 1 else step[0])
        plain_sam(plain, sgd[1], step, rho=0.05)
    for p, q in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)


def test_a_hook_runs_once_a_pass_and_leaves_no_gradient(small_net, batch):
    model, calls = small_net(), []
    model[0].weight.register_hook(lambda g: calls.append(g.shape))
    model[0].weight.register_post_accumulate_grad_hook(lambda p: calls.append(p.shape))
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    optim.wrap("sam", model, sgd, cross_entropy).step(batch)
    assert len(calls) == 4
    assert model[0].weight.grad is None


def test_a_hook_does_not_run_where_no_pass_came(batch):
    model = torch.nn.ModuleList([torch.nn.Linear(6, 3), torch.nn.Linear(6, 3)]).double()
    calls = []
    model[1].weight.register_hook(calls.append)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    optim.wrap("sam", model, sgd, lambda m, b: F.cross_entropy(m[0](b.x), b.y)).step(batch)
    assert not calls


def test_a_hook_that_steps_in_backward_is_refused(small_net, batch):
    """It would move the weights in the middle of a climb."""
    model = small_net()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(p):
        p.grad = None

    model[0].bias.register_post_accumulate_grad_hook(step)
    with pytest.raises(ValueError, match=r"hook on `0.bias` must leave the parameter and its grad"):
        optim.wrap("sam", model, sgd, cross_entropy).step(batch)


def test_products_with_the_hessian_and_shards_at_once_say_that_they_run_no_hooks(net_walker, batch):
    walker = net_walker()
    masked(walker.model[-1].weight)
    with pytest.raises(ValueError, match="runs no hooks"):
        walker.hvp(batch, walker.w, at=walker.w)
    with pytest.raises(ValueError, match="a parameter has a hook"):
        MSAM(mode="vmap").step(walker, batch)


def test_shards_run_hooks_each(small_net, batch):
    """One shard is SAM."""
    found = []
    for name in ("msam", "sam"):
        model = small_net()
        clamped(model[0].weight)
        method = make(name, {"msam": {"num_shards": 1}} if name == "msam" else {})
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        optim.wrap(method, model, sgd, cross_entropy).step(batch)
        found.append(copy.deepcopy(list(model.parameters())))
    assert all(map(torch.equal, *found))
