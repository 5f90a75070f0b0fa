"""mSAM's shards in one vectorised pass: the same step, where it can be and where it gains."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.methods import ASAM, FAM, LETS, MSAM, SAM
from landscape.network.batch import Batch


@pytest.fixture
def after(watched_walker, batches):
    """Weights, loss and counts after five steps on batches of 16."""

    def run(method, **options):
        walker = watched_walker(**options)
        for batch in batches(5, size=16):
            walker.begin(batch.size)
            method.step(walker, batch)
        return walker

    return run


@pytest.mark.thinned(2)
@pytest.mark.parametrize("over", [None, ASAM(), SAM(normalize=False)])
@pytest.mark.parametrize("num_shards", [1, 4, 16])
def test_both_ways_agree(num_shards, over, after):
    """With momentum and weight decay; two passes instead of two per shard, the same arithmetic."""
    shards = after(MSAM(num_shards=num_shards, mode="sequential", over=over))
    at_once = after(MSAM(num_shards=num_shards, mode="vmap", over=over))
    torch.testing.assert_close(at_once.w, shards.w, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(at_once.step_loss, shards.step_loss)
    assert (shards.passes, at_once.passes) == (10 * num_shards, 10)
    assert shards.grad_evals == pytest.approx(at_once.grad_evals)


@pytest.mark.parametrize(
    ("num_shards", "net", "vectorised"),
    [
        (8, {}, True),
        (4, {}, False),
        (7, {}, False),
        (8, {"batch_norm": True}, False),
        (8, {"dropout": 0.5}, False),
    ],
)
def test_auto_picks(num_shards, net, vectorised, after):
    """From eight equal shards on, without batch norm and dropout."""
    assert (after(MSAM(num_shards=num_shards), net=net).passes == 10) == vectorised


def test_nested_inputs(watched_walker, batches):
    """x a dict, y None: as a user's own task may have them."""

    def loss(model, batch):
        return F.cross_entropy(model(batch.x["x"]), batch.x["y"])

    (batch,) = batches(1)
    walkers = [watched_walker(loss=loss) for _ in range(2)]
    for walker, mode in zip(walkers, ("sequential", "vmap"), strict=True):
        MSAM(mode=mode).step(walker, Batch({"x": batch.x, "y": batch.y}, None))
    torch.testing.assert_close(walkers[0].w, walkers[1].w, rtol=1e-10, atol=1e-12)


class Draws(nn.Module):
    """A model whose draw no module's type shows."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 3).double()

    def forward(self, x):
        return self.head(x + torch.rand_like(x))


def test_a_hidden_draw_goes_shard_by_shard(watched_walker, batches):
    """Auto tries once and then knows; the masks are those of the sequential mode, bit for bit."""
    torch.manual_seed(0)
    model = Draws()
    start = [p.detach().clone() for p in model.parameters()]
    found = []
    for mode in ("auto", "sequential"):
        for p, old in zip(model.parameters(), start, strict=True):
            p.data.copy_(old)
        walker, method = watched_walker(model=model), MSAM(num_shards=8, mode=mode)
        for batch in batches(3, size=16):
            walker.begin(batch.size)
            method.step(walker, batch)
        assert method.refused == (mode == "auto")
        found.append(walker.w)
    assert torch.equal(*found)
    with pytest.raises(ValueError, match="random"):
        MSAM(num_shards=8, mode="vmap").step(walker, batch)


@pytest.mark.parametrize(
    ("method", "options", "reason"),
    [
        (MSAM(num_shards=5, mode="vmap"), {}, "5 shards of 12 examples are not equal"),
        (MSAM(mode="vmap"), {"net": {"batch_norm": True}}, "the model has a BatchNorm1d"),
        (MSAM(mode="vmap"), {"net": {"dropout": 0.5}}, "the model has a Dropout"),
        (MSAM(mode="vmap"), {"autocast": torch.bfloat16}, "autocast is on"),
        (FAM(over=MSAM(mode="vmap")), {}, "a penalty looks into each pass"),
        (LETS(over=MSAM(mode="vmap")), {}, "differentiated shard by shard"),
    ],
)
def test_where_it_cannot_be(method, options, reason, watched_walker, batch):
    with pytest.raises(ValueError, match=f'`mode` "vmap" cannot be here: .*{reason}'):
        method.step(watched_walker(**options), batch)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"one of auto, sequential, vmap. Got 'batched'"):
        MSAM(mode="batched")
    with pytest.raises(ValueError, match="Multiply the two `num_shards` instead"):
        MSAM(over=MSAM())
