"""A network in shards on two processes against the same network in one."""

import json

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

from landscape.linalg import Space, Subspace, lanczos
from landscape.linalg.split_trace import split_trace
from landscape.measures import Eigenvalues, NoiseRobustness, Trace
from landscape.objective.objective import Objective

RANKS, CLASSES = 2, 7


class Block(nn.Module):
    """Causal attention of one head and a feed-forward layer."""

    def __init__(self, width=8):
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x + self.down(F.gelu(self.up(x)))


class Language(nn.Module):
    """A transformer whose head is tied to its embedding, with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(CLASSES, 8)
        self.place = nn.Parameter(torch.randn(5, 8) / 3)
        self.blocks = nn.ModuleList([Block()])
        self.head = nn.Linear(8, CLASSES, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = self.embed(tokens) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def language():
    torch.manual_seed(0)
    return Language()


def text():
    g = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, CLASSES, (6, 6), generator=g)
    return [(tokens[:4, :-1], tokens[:4, 1:]), (tokens[4:, :-1], tokens[4:, 1:])]


def next_token(model, batch):
    return F.cross_entropy(model(batch.x).flatten(0, 1), batch.y.flatten())


def with_penalty(model, batch):
    return next_token(model, batch) + sum(p.square().sum() for p in model.parameters())


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        return 3 * g * ctx.saved_tensors[0] ** 2


class Detached(Cube):
    @staticmethod
    def backward(ctx, g):
        return 3 * g * ctx.saved_tensors[0].detach() ** 2


def _bent(objective, function):
    import landscape as ls

    def loss(model, batch):
        return F.cross_entropy(function.apply(model(batch.x)).flatten(0, 1), batch.y.flatten())

    bent = ls.ShardedObjective(objective.network, objective.batches, loss)
    bent.hvp(bent.w)


def _whole(objective, v):
    """A shard of a vector -> all of it, a parameter after the other."""
    parts = v.split(objective._sizes)
    return torch.cat(
        [objective.network.as_dtensor(i, t).full_tensor() for i, t in enumerate(parts)]
    )


def _shard(objective, v):
    """All of a vector -> the shard of it that is here."""
    from torch.distributed.tensor import Shard, distribute_tensor

    sizes = [shape.numel() for shape in objective.network.shapes[: len(objective._sizes)]]
    mesh = objective.network.mesh
    return torch.cat([distribute_tensor(t, mesh, [Shard(0)]).to_local() for t in v.split(sizes)])


def _refusals(objective, mesh):
    from torch.distributed.fsdp import fully_shard

    import landscape as ls

    under = language()
    fully_shard(under, mesh=mesh)
    asked = {
        "noise": lambda: NoiseRobustness()(objective),
        "gauss-newton": lambda: Eigenvalues(curvature="gauss-newton")(objective),
        "layers": lambda: Trace()(objective),
        "whole": lambda: Objective(objective.network.model, text(), next_token),
        "sharded twice": lambda: ls.sharded(under, mesh),
        "fully_shard": lambda: Objective(under, text(), next_token),
        "penalty": lambda: ls.ShardedObjective(
            ls.sharded(language(), mesh), text()[:1], with_penalty
        ).value(),
        "batches": lambda: ls.ShardedObjective(
            objective.network, text()[: dist.get_rank() + 1], next_token
        ),
        "blocks": lambda: ls.sharded(language(), mesh, blocks="layer.*"),
        "dropped terms": lambda: _bent(objective, Detached),
        "no dropped terms": lambda: _bent(objective, Cube),
    }
    words = {}
    for name, ask in asked.items():
        try:
            ask()
            words[name] = ""
        except ValueError as error:
            words[name] = str(error)
    return words


def _rank(rank, folder):
    from torch.distributed.device_mesh import init_device_mesh

    import landscape as ls

    torch.set_num_threads(1)
    rendezvous = f"file://{folder}/rendezvous"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=RANKS)
    mesh = init_device_mesh("cpu", (RANKS,))
    network = ls.sharded(language(), mesh)
    objective = ls.ShardedObjective(network, [text()[rank]], next_token)
    v = torch.linspace(-1, 1, objective.n)
    record = Eigenvalues(k=5, tolerance=1e-3)(objective)
    found = Trace(method="hutchinson", max_hvps=24)(objective)
    kept = sum(t.numel() for t in network.shards)
    there = sum(p.numel() for p in network.model.parameters() if not p.is_meta)
    answer = {
        "value": objective.value(),
        "gradient": _whole(objective, objective.grad()).tolist(),
        "product": _whole(objective, objective.hvp(_shard(objective, v))).tolist(),
        "moved": objective.value(objective.w * 1.1),
        "eigenvalues": record.values.tolist(),
        "bounds": record.bounds.tolist(),
        "point": [record.point.loss, record.point.grad_norm, record.point.n],
        "trace": [found.low, found.high],
        "held": [kept, there],
        "refusals": _refusals(objective, mesh),
    }
    (folder / f"{rank}.json").write_text(json.dumps(answer))
    dist.barrier()  # no rank leaves while another one is still in a sum
    dist.destroy_process_group()


@pytest.mark.slow
def test_a_sharded_transformer_is_that_of_one_process(tmp_path):
    mp.spawn(_rank, (tmp_path,), nprocs=RANKS)
    one, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(RANKS))
    held = [answer.pop("held") for answer in (one, other)]
    refusals = one.pop("refusals")
    other.pop("refusals")
    assert one == other
    plain = Objective(language(), text(), next_token)
    n = plain.weights.n
    assert [kept for kept, _ in held] == pytest.approx([n / RANKS] * 2, abs=20)
    assert sum(kept for kept, _ in held) == n
    assert [there for _, there in held] == [0, 0]
    assert one["value"] == pytest.approx(plain.value(), rel=1e-6)
    assert one["moved"] == pytest.approx(plain.value(plain.w * 1.1), rel=1e-6)
    close = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(torch.tensor(one["gradient"]), plain.grad(), **close)
    v = torch.linspace(-1, 1, n)
    torch.testing.assert_close(torch.tensor(one["product"]), plain.hvp(v), **close)
    values = Eigenvalues(k=5)(plain).values
    assert one["eigenvalues"] == pytest.approx(values, rel=1e-4)
    assert all(bound < 1e-3 * abs(values[0]) for bound in one["bounds"])
    assert one["point"] == pytest.approx([plain.value(), plain.summary.grad_norm, n], rel=1e-5)
    exact = plain.hvp(torch.eye(n)).trace().item()
    assert one["trace"][0] < exact < one["trace"][1]
    assert refusals["no dropped terms"] == ""
    for name, words in {
        "noise": "NoiseRobustness cannot be asked like this of a sharded network",
        "gauss-newton": "measured with curvature='hessian' alone. Got 'gauss-newton'",
        "layers": "method=\"hutchinson\". Got 'layers'",
        "whole": "An Objective needs whole weights",
        "sharded twice": "under fully_shard",
        "fully_shard": "An Objective needs whole weights",
        "penalty": "reaches sharded weights outside of their module's forward",
        "batches": "as many batches as the others",
        "blocks": "`blocks` must match the name of a module",
        "dropped terms": "drops terms without an error",
    }.items():
        assert words in refusals[name]


class Halves:
    """Both shards of vectors in one process: a list of two lanes that meet in `sum`."""

    def __init__(self, n, rank, barrier, box):
        self.n, self.rank, self.barrier, self.box = n, rank, barrier, box

    def __call__(self, t):
        self.box[self.rank] = t
        self.barrier.wait()
        total = self.box[0] + self.box[1]
        self.barrier.wait()
        return total


def in_two_threads(ask, n):
    """Answers of ask(space, slice), asked by two threads that each hold half of a vector."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    barrier, box, half = threading.Barrier(RANKS, timeout=20), [None] * RANKS, n // 3
    parts = [slice(0, half), slice(half, n)]

    def lane(rank):
        here = parts[rank]
        space = Space(n, here.stop - here.start, Halves(n, rank, barrier, box), rank)
        return ask(space, here)

    with ThreadPoolExecutor(RANKS) as pool:
        return list(pool.map(lane, range(RANKS)))


def test_lanczos_and_trace_of_split_vectors_are_those_of_a_diagonal():
    n = 60
    spectrum = torch.cat([torch.tensor([9.0, 7.0, -6.0]), torch.linspace(-1, 1, n - 3)]).double()

    def ask(space, here):
        def product(v):
            return spectrum[here] * v

        result = lanczos(product, n, 3, dtype=torch.float64, shards=space)
        like = torch.zeros(space.local, dtype=torch.float64)
        found = split_trace(product, like, space, max_matvecs=60)
        return result.values.tolist(), found.low, found.high, result.vectors

    one, other = in_two_threads(ask, n)
    assert one[:3] == other[:3]
    assert one[0] == pytest.approx([9.0, 7.0, -6.0], rel=1e-8)
    assert one[1] < float(spectrum.sum()) < one[2]
    vectors = torch.cat([one[3], other[3]])
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(3, dtype=torch.float64))


def test_a_basis_of_split_vectors_is_orthonormal_as_a_whole():
    def ask(space, here):
        basis = Subspace(lambda v: v * (1.0 + torch.arange(12.0))[here], 12, 6, space=space)
        for _ in range(6):
            basis.expand()
        return basis.basis

    whole = torch.cat(in_two_threads(ask, 12), 1)
    torch.testing.assert_close(whole @ whole.T, torch.eye(6), atol=1e-5, rtol=0)
