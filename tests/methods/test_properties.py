"""What must not change: invariances over drawn problems."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from landscape.methods import ASAM, MSAM, SAM, Lookbehind
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch

few = settings(max_examples=12, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 10**6)


def problem(seed, size=12, bias=True):
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(6, 4, bias=bias), nn.ReLU(), nn.Linear(4, 3, bias=bias))
    x = torch.randn(size, 6, generator=generator, dtype=torch.float64)
    return net.double(), Batch(x, torch.randint(0, 3, (size,), generator=generator))


def looks(method, net, batch, c=1.0):
    """The points at which the method looks when the loss is c times cross-entropy, (looks, n)."""
    points = []

    def loss(model, b):
        return c * F.cross_entropy(model(b.x), b.y)

    walker = Walker(net, torch.optim.SGD(net.parameters(), lr=0.1), loss)
    grad = walker.value_and_grad

    def remember(b, at=None, loss=None):
        points.append(at)
        return grad(b, at, loss)

    walker.value_and_grad = remember
    method.step(walker, batch)
    return torch.stack([p for p in points if p is not None])


@pytest.mark.parametrize(
    "method",
    [SAM(rho=0.3), ASAM(), MSAM(rho=0.3, mode="sequential"), Lookbehind(rho=0.3, k=3)],
    ids=repr,
)
@few
@given(seed=seeds, c=st.floats(1e-6, 1e6))
def test_scaling_the_loss_moves_no_look(method, seed, c):
    """T12 and Lookbehind's z_i: climbs depend on directions alone."""
    plain, scaled = looks(method, *problem(seed)), looks(method, *problem(seed), c)
    torch.testing.assert_close(plain, scaled, rtol=1e-9, atol=1e-11)


@few
@given(seed=seeds, num_shards=st.integers(1, 6), draw=st.randoms(use_true_random=False))
def test_order_inside_a_shard_does_not_matter(seed, num_shards, draw):
    net, batch = problem(seed)
    index = Batch(torch.arange(12), None)
    order = []
    for shard in index.shards(num_shards):
        rows = shard.x.tolist()
        draw.shuffle(rows)
        order += rows
    method = MSAM(rho=0.3, num_shards=num_shards, mode="sequential")
    start = [p.detach().clone() for p in net.parameters()]
    plain = looks(method, net, batch)
    for p, old in zip(net.parameters(), start, strict=True):
        p.data = old
    moved = looks(method, net, Batch(batch.x[order], batch.y[order]))
    torch.testing.assert_close(plain, moved, rtol=1e-9, atol=1e-11)


@few
@given(seed=seeds, c=st.floats(0.05, 20.0))
def test_rescaled_layers_are_perturbed_to_the_same_function(seed, c):
    """ASAM at η = 0: W₁c and W₂/c see the same perturbed outputs."""
    values = []
    for factor in (1.0, c):
        net, batch = problem(seed, bias=False)
        net[0].weight.data *= factor
        net[2].weight.data /= factor
        walker = Walker(
            net,
            torch.optim.SGD(net.parameters(), lr=0.1),
            lambda m, b: F.cross_entropy(m(b.x), b.y),
        )
        method = ASAM(rho=0.3, eta=0.0)
        values.append(walker.value(batch, at=walker.w + method.ascend(walker, batch)))
    torch.testing.assert_close(*values, rtol=1e-9, atol=1e-11)


@few
@given(seed=seeds, chain=st.sampled_from([(1, 2, 4, 12), (1, 3, 6, 12), (1, 2, 6, 12)]))
def test_refined_shards_have_longer_gradients(seed, chain):
    """T10: the mean ‖g_j‖ grows under each refinement of the partition."""
    net, batch = problem(seed)
    walker = Walker(
        net, torch.optim.SGD(net.parameters(), lr=0.1), lambda m, b: F.cross_entropy(m(b.x), b.y)
    )
    norms = [walker.grads(batch, m).norm(dim=1).mean().item() for m in chain]
    assert all(a <= b + 1e-12 for a, b in pairwise(norms))
