"""A step on several batches is the step on their union."""

from collections import UserDict, namedtuple

import pytest
import torch
import torch.nn.functional as F

from landscape import optim
from landscape.methods import METHODS, make
from landscape.methods.walker.accumulation import MicroBatches, gathered
from landscape.network.batch import Batch

NESTED = ("lets+asam", "lookbehind+msam+asam", "lets+lookbehind", "fam+lookahead+sam", "msam+aace")


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def union_of(parts):
    return Batch(torch.cat([p.x for p in parts]), torch.cat([p.y for p in parts]))


@pytest.fixture
def wrapped(small_net, batches):
    def make_stepper(name, loss=cross_entropy, net=None, **options):
        model = small_net(**(net or {}))
        kind = torch.optim.AdamW if name == "adamw" else torch.optim.SGD
        momentum = {} if name == "adamw" else {"momentum": 0.9}
        base = kind(model.parameters(), lr=0.1, weight_decay=0.01, **momentum)
        method = make(name, {"sam-on": {"no_norm": True}})
        return optim.wrap(method, model, base, loss, held_out=batches(2, seed=5), **options)

    return make_stepper


def split(batch, *sizes):
    rows = zip(batch.x.split(sizes), batch.y.split(sizes), strict=True)
    return [Batch(x, y) for x, y in rows]


@pytest.mark.parametrize("name", [*METHODS, *NESTED])
def test_it_is_the_step_on_one_large_batch(name, wrapped, batches):
    """Uneven parts; weights, losses, what is logged, and the cost in gradient evaluations."""
    large, small = wrapped(name), wrapped(name)
    for batch in batches(4):
        expected = large.step(batch)
        torch.testing.assert_close(small.step(split(batch, 5, 4, 3)), expected)
        assert small.logged.keys() == large.logged.keys()
        for key, value in large.logged.items():
            torch.testing.assert_close(small.logged[key], value, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(small.walker.w, large.walker.w, rtol=1e-7, atol=1e-9)
    assert small.walker.grad_evals == pytest.approx(large.walker.grad_evals)


def test_passes_are_counted_part_by_part(wrapped, batch):
    stepper = wrapped("sam")
    stepper.step(split(batch, 5, 4, 3))
    assert (stepper.walker.passes, stepper.walker.grad_evals) == (6, 2.0)


def test_each_part_is_climbed_as_one(wrapped, batch):
    """Not each part by itself: that is mSAM with a shard a part."""
    ours, shards = wrapped("sam"), wrapped("msam")
    shards.method.num_shards = 2
    ours.step(split(batch, 6, 6))
    shards.step(batch)
    assert not torch.allclose(ours.walker.w, shards.walker.w, rtol=1e-4)


def test_weights_count_and_not_examples(wrapped, batch):
    a, b = split(batch, 6, 6)
    ours = wrapped("sgd")
    w = ours.walker.w
    g_a, g_b = (ours.walker.grad(part, at=w) for part in (a, b))
    values = [ours.walker.value(part) for part in (a, b)]
    loss = ours.step([Batch(a.x, a.y, weight=3.0), Batch(b.x, b.y, weight=1.0)])
    expected = w - 0.1 * (0.75 * g_a + 0.25 * g_b + 0.01 * w)
    torch.testing.assert_close(ours.walker.w, expected)
    torch.testing.assert_close(loss, 0.75 * values[0] + 0.25 * values[1])


def test_value_and_curvature_are_those_of_the_union(net_walker, batch):
    walker, parts = net_walker(), MicroBatches(split(batch, 1, 11))
    at, v = walker.w + 0.3, torch.linspace(-1, 1, len(walker.w), dtype=torch.float64)
    torch.testing.assert_close(walker.value(parts, at), walker.value(batch, at))
    torch.testing.assert_close(walker.hvp(parts, v, at), walker.hvp(batch, v, at))
    torch.testing.assert_close(walker.grads(parts, 4), walker.grads(batch, 4))
    points = torch.stack([at, at + 1, at + 2, at + 3])
    torch.testing.assert_close(walker.grads(parts, 4, points), walker.grads(batch, 4, points))


def test_batch_norm_moves_once_a_part_in_the_steps_own_pass(wrapped, batch):
    """As it does under any accumulation; the look at w + e leaves no trace."""
    net = {"batch_norm": True}
    ours, plain = wrapped("sam", net=net), wrapped("sam", net=net)
    parts = split(batch, 6, 6)
    ours.step(parts)
    for part in parts:
        plain.walker.grad(part)
    found, expected = (dict(s.walker.model.named_buffers()) for s in (ours, plain))
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert found["1.num_batches_tracked"] == 2


def test_each_part_has_its_own_mask(wrapped, batch):
    """The same rows twice: with one mask the second pass would give the same loss."""
    losses = []

    def loss(model, b):
        losses.append(cross_entropy(model, b))
        return losses[-1]

    wrapped("sgd", loss, net={"dropout": 0.5}).step([batch, batch])
    assert losses[0] != losses[1]
    losses.clear()
    wrapped("sgd", loss, net={"dropout": 0.5}, same_mask=True).step([batch, batch])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12])
def test_shards_are_those_of_the_union(count, batch):
    """The same rows in the same shards, wherever the edges of the parts are."""
    for sizes in ((12,), (5, 4, 3), (1, 10, 1)):
        shards = MicroBatches(split(batch, *sizes)).shards(count)
        for shard, expected in zip(shards, batch.shards(count), strict=True):
            found = union_of(shard.parts) if isinstance(shard, MicroBatches) else shard
            assert torch.equal(found.x, expected.x)
            assert torch.equal(found.y, expected.y)
            assert shard.share == expected.share
            assert shard.size == expected.size


def test_micro_batches_refuse_what_they_are_not(batch):
    parts = MicroBatches(split(batch, 6, 6))
    with pytest.raises(ValueError, match=r"between 1 and the batch's 12 examples. Got 13"):
        parts.shards(13)
    with pytest.raises(ValueError, match="cannot be stacked"):
        parts.stacked(2)


def test_what_counts_as_several(batch):
    x, y = batch.x, batch.y
    assert gathered(batch) is batch
    for one in ((x, y), [x, y], ([x, x], y), ({"a": x}, (y, y))):
        assert not isinstance(gathered(one), MicroBatches)
    for several in ([batch, batch], (batch, (x, y)), [(x, y), [x, y], (x, y)], [batch]):
        assert len(gathered(several).parts) == len(several)
    assert gathered([batch, batch]).size == 24
    with pytest.raises(ValueError, match=r"Two pairs may be .* Say which: \[Batch\(x1, y1\)"):
        gathered([(x, y), (x, y)])
    with pytest.raises(ValueError, match=r"at least one\. Got none"):
        gathered(iter([]))
    with pytest.raises(ValueError, match="one flat list"):
        gathered([[batch, batch], [batch, batch, batch]])
    for none in ([], 3, (x, y, y), [batch, 3]):
        with pytest.raises(ValueError, match=r"a landscape.Batch or a pair"):
            gathered(none)


Pair = namedtuple("Pair", ["x", "y"])
KINDS = {
    "mappings": lambda x, y: {"x": x, "labels": y},
    "user's mappings": lambda x, y: UserDict(x=x, labels=y),  # as transformers.BatchEncoding
    "iterator of pairs": lambda x, y: (x, y),
    "iterator of mappings": lambda x, y: {"x": x, "labels": y},
    "namedtuples": Pair,
}


SEVERAL = [(kind, n) for kind in KINDS for n in (1, 2, 3) if (kind, n) != ("namedtuples", 2)]


@pytest.mark.parametrize(("kind", "count"), SEVERAL)
def test_several_of_any_kind_train_as_a_plain_loop_does(kind, count, small_net, batch):
    """SAM on all of them: gradients of a loop over the parts, weighted by their examples."""
    sizes = {1: (12,), 2: (8, 4), 3: (5, 4, 3)}[count]
    several = [KINDS[kind](part.x, part.y) for part in split(batch, *sizes)]
    net, plain = small_net(), small_net()

    def loss(model, b):
        return F.cross_entropy(model(b.x["x"] if "mappings" in kind else b.x), b.y)

    stepper = optim.wrap("sam", net, torch.optim.SGD(net.parameters(), lr=0.1), loss)
    stepper.step(iter(several) if kind.startswith("iterator") else several)

    parameters = list(plain.parameters())

    def gradient():
        total = [torch.zeros_like(p) for p in parameters]
        for part in split(batch, *sizes):
            value = F.cross_entropy(plain(part.x), part.y) * len(part.x) / 12
            g = torch.autograd.grad(value, parameters)
            total = [a + b for a, b in zip(total, g, strict=True)]
        return total

    start, g = [p.detach().clone() for p in parameters], gradient()
    norm = torch.sqrt(sum(t.square().sum() for t in g))
    with torch.no_grad():
        for p, t in zip(parameters, g, strict=True):
            p += 0.05 * t / norm
    g = gradient()
    for p, w, t, ours in zip(parameters, start, g, net.parameters(), strict=True):
        torch.testing.assert_close(ours, w - 0.1 * t, rtol=1e-10, atol=1e-12)
        assert not torch.equal(p, ours)


def test_two_mappings_are_a_pair_where_their_keys_differ(batch):
    """As a DataLoader yields inputs and targets by name."""
    inputs, targets = {"a": batch.x, "b": batch.x}, {"boxes": batch.y}
    for pair in ([inputs, targets], (inputs, targets), Pair(inputs, inputs)):
        assert gathered(pair).x is pair[0]
        assert gathered(pair).y is pair[1]


def test_what_can_be_read_in_two_ways_is_refused(batch):
    """The second half of a pair, or a second batch."""
    x, y = batch.x, batch.y
    for two in (
        ({"x": x}, {"x": x}),
        [{"x": x, "labels": y}, {"x": x, "mask": x, "labels": y}],
        [[x, x, y], [x, x, y]],
        [Pair(x, y), Pair(x, y)],
    ):
        with pytest.raises(ValueError, match=r"Say which: \[Batch\(x1, y1\)"):
            gathered(two)
    assert gathered([[x, x, x], [y, y, y]]).y == [y, y, y]
