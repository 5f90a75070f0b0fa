"""Two ranks against one process that sees the union of their batches (msam spec, T9)."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

from landscape import optim
from landscape.methods import make
from landscape.methods.walker.distributed import DistributedWalker
from landscape.network.batch import Batch

RANKS = 2


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def data(size=8, seed=0):
    """`size` examples and their classes."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 6, generator=g, dtype=torch.float64)
    return x, torch.randint(0, 3, (size,), generator=g)


def trained(method, split, distributed=None, held_out=None, steps=4):
    """Weights after some steps with momentum and weight decay; `split` cuts each batch."""
    model = network()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    stepper = optim.wrap(
        make(*method), model, sgd, lambda m, b: F.cross_entropy(m(b.x), b.y),
        held_out=held_out, distributed=distributed,
    )  # fmt: skip
    for step in range(steps):
        x, y = data(seed=step)
        stepper.step(Batch(x[split], y[split]))
    return stepper.walker.w


def in_ranks(work, path):
    """Run work(rank) in processes of one group; what each returned."""
    mp.spawn(_rank, (work, str(path)), nprocs=RANKS)
    return [torch.load(path / f"{rank}.pt") for rank in range(RANKS)]


def _rank(rank, work, path):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{path}/group", rank=rank, world_size=RANKS)
    torch.save(work(rank), f"{path}/{rank}.pt")
    dist.destroy_process_group()


def even(rank):
    return slice(4 * rank, 4 * rank + 4)


def uneven(rank):
    return slice(0, 5) if rank == 0 else slice(5, 8)


def sam_per_rank(rank):
    return trained(("sam",), even(rank), "per-rank")


def two_shards_per_rank(rank):
    return trained(("msam", {"msam": {"num_shards": 2}}), even(rank), "per-rank")


def sam_global(rank):
    return trained(("sam",), uneven(rank), "global")


def lets_global(rank):
    x, y = data(6, seed=99)
    held_out = [Batch(x[3 * rank : 3 * rank + 3], y[3 * rank : 3 * rank + 3])]
    return trained(("lets",), even(rank), "global", held_out)


def msam(num_shards):
    return trained(("msam", {"msam": {"num_shards": num_shards}}), slice(None))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "alone"),
    [
        (sam_per_rank, lambda: msam(2)),
        (two_shards_per_rank, lambda: msam(4)),
        (sam_global, lambda: trained(("sam",), slice(None))),
        (lets_global, lambda: trained(("lets",), slice(None), held_out=[Batch(*data(6, seed=99))])),
    ],
    ids=["sam per rank is msam", "K x r shards", "sam global is sam", "lets global is lets"],
)
def test_ranks_do_what_one_process_does(tmp_path, work, alone):
    one, two = in_ranks(work, tmp_path)
    assert torch.equal(one, two)
    torch.testing.assert_close(one, alone(), rtol=1e-12, atol=1e-14)


@pytest.fixture
def group(tmp_path):
    dist.init_process_group("gloo", f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def walker(model, ascent="global"):
    return DistributedWalker(
        model, torch.optim.SGD(model.parameters(), 0.1), lambda m, b: m(b.x).sum(), ascent=ascent
    )


def test_no_process_group_is_refused():
    with pytest.raises(ValueError, match="needs a process group"):
        walker(network())


def test_models_that_synchronise_themselves_are_refused(group):
    with pytest.raises(ValueError, match="Pass the bare module"):
        walker(nn.parallel.DistributedDataParallel(network()))
    with pytest.raises(ValueError, match="Synchronised batch norm"):
        walker(nn.Sequential(nn.Linear(2, 2), nn.SyncBatchNorm(2)))
    with pytest.raises(ValueError, match=r"one of global, per-rank\. Got 'local'"):
        walker(network(), "local")


def test_models_that_synchronise_themselves_are_refused_without_ranks_too(group):
    """They average the gradients of a plain loop, and none of these."""
    ddp = nn.parallel.DistributedDataParallel(network())
    tensor_parallel = network()
    tensor_parallel[0].weight.full_tensor = lambda: None  # what marks a DTensor
    sharded = network()
    sharded.unshard = lambda: None  # what marks FSDP
    for model, message in [
        (ddp, "Pass the bare module, `model.module`, in the place of DistributedDataParallel"),
        (nn.Sequential(ddp), "in the place of DistributedDataParallel"),
        (nn.DataParallel(network()), "in the place of DataParallel"),
        (tensor_parallel, "Sharded parameters"),
        (sharded, "Sharded parameters"),
    ]:
        with pytest.raises(ValueError, match=message):
            optim.wrap("sam", model, torch.optim.SGD(model.parameters(), 0.1), None)


def test_ranks_on_their_own_are_warned_of(group, monkeypatch):
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    with pytest.warns(UserWarning, match='2 ranks run, .* Pass distributed="global"'):
        trained(("sam",), slice(None), steps=0)


def unsynchronised(rank):
    """The refusal of a real DDP module, and the warning of a plain one."""
    model = nn.parallel.DistributedDataParallel(network())
    try:
        optim.wrap("sam", model, torch.optim.SGD(model.parameters(), 0.1), None)
    except ValueError as error:
        refused = str(error)
    with pytest.warns(UserWarning, match="2 ranks run"):
        trained(("sam",), even(rank))
    return refused


@pytest.mark.slow
def test_two_ranks_that_would_drift_apart_are_refused(tmp_path):
    for refused in in_ranks(unsynchronised, tmp_path):
        assert "Pass the bare module" in refused


def test_a_radius_per_rank_is_refused(group):
    with pytest.raises(ValueError, match="another radius on every rank"):
        trained(("lets",), slice(None), "per-rank", [Batch(*data(6))])
