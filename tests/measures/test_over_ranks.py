"""Every measure over two ranks with unequal shards against one process with all batches."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.distributed.ranks import Alone
from landscape.measures import MEASURES, CrossCheck
from landscape.network.batch import Batch
from landscape.objective import empirical_risk

SETTINGS = {
    "eigenvalues": {"k": 2},
    "trace": {"max_hvps": 40},
    "spectral_density": {"probes": 2, "steps": 5},
    "relative_flatness": {},
    "noise": {"draws": 2, "sigmas": (0.0, 0.05)},
    "quantization": {},
    "pruning": {"fractions": (0.0, 0.5)},
    "worst_case": {"radii": (0.1, 0.2), "steps": 2},
    "sharpness": {"radii": (0.1, 0.2), "steps": 2, "m": 5},
    "rise_area": {"rise": 0.05, "size": 11, "cells": 1.0},
    "surface": {"size": 5},
    "profile": {"lines": 2, "size": 3},
    "path": {"end": None, "size": 5},
}
CASES = {
    **{name: (name, settings, "mlp", "stored") for name, settings in SETTINGS.items()},
    **{f"{name}, batch": (name, s, "conv", "batch") for name, s in SETTINGS.items()},
    **{
        f"{name}, reestimated": (name, s, "conv", "reestimated")
        for name, s in SETTINGS.items()
        if name not in ("sharpness", "relative_flatness")
    },
    "Gauss-Newton": ("eigenvalues", {"k": 2, "curvature": "gauss-newton"}, "mlp", "stored"),
    "Gauss-Newton, reestimated": (
        "trace", {"max_hvps": 40, "curvature": "gauss-newton"}, "conv", "reestimated",
    ),
    "one layer": ("eigenvalues", {"k": 2, "layer": "0"}, "mlp", "stored"),
    "hidden layer, exact": ("relative_flatness", {"layer": "0"}, "mlp", "stored"),
    "random signs": ("relative_flatness", {"max_products": 0, "draws": 3}, "mlp", "stored"),
    "features": ("relative_flatness", {"normalize_features": True}, "mlp", "stored"),
    "joined batches": ("sharpness", {"m": 8, "steps": 2, "radii": (0.2,)}, "mlp", "stored"),
    "no second derivatives": ("eigenvalues", {"k": 2}, "differences", "stored"),
    "many points": ("noise", {"draws": 12}, "mlp", "stored"),
    "float32": ("eigenvalues", {"k": 3, "tolerance": 1e-5}, "single", "stored"),
}  # fmt: skip
QUICK = (
    "eigenvalues", "relative_flatness", "noise", "worst_case", "sharpness", "surface",
    "Gauss-Newton", "one layer", "features", "noise, reestimated",
)  # fmt: skip
TIMED = ("vectors", "product_cost")


class NoTwice(torch.autograd.Function):
    """tanh, whose backward has no derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x.tanh())
        return x.tanh()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y**2)


class Cut(nn.Module):
    def forward(self, x):
        return NoTwice.apply(x)


def network(name):
    torch.manual_seed(0)
    if name == "conv":
        model = nn.Sequential(
            nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
        )
        model[1].running_var.uniform_(0.5, 2.0)
    else:
        middle = Cut() if name == "differences" else nn.Tanh()
        model = nn.Sequential(nn.Linear(9, 5), middle, nn.Linear(5, 3))
    return model if name == "single" else model.double()


def batches(name):
    """Four batches of 18 examples; the first rank has three of them."""
    g = torch.Generator().manual_seed(1)
    dtype = torch.float32 if name == "single" else torch.float64
    shape = (1, 3, 3) if name == "conv" else (9,)
    return [
        Batch(torch.randn(size, *shape, generator=g).to(dtype), torch.arange(size) % 3)
        for size in (6, 5, 4, 3)
    ]


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def shard(given, rank):
    return given if rank is None else given[3 * rank : 3 + rank]


def record_of(case, rank=None, loss=cross_entropy):
    """The record of a case, by rank 0 or 1 of the group, or in one process."""
    kind, settings, name, policy = CASES[case]
    model = network(name)
    if settings.get("end", "") is None:
        settings = {**settings, "end": torch.zeros(sum(p.numel() for p in model.parameters()))}
    group = None if rank is None else dist.group.WORLD
    objective = Objective(model, shard(batches(name), rank), loss, batch_norm=policy, group=group)
    return MEASURES[kind](**settings)(objective)


def numbers(record):
    return {k: v for k, v in vars(record).items() if isinstance(v, np.ndarray | float | int)}


def every_case(rank):
    return {case: record_of(case, rank) for case in CASES}


def in_ranks(work, path, ranks=2):
    """Run work(rank) in processes of one group; what each returned."""
    mp.spawn(_rank, (work, str(path), ranks), nprocs=ranks)
    return [torch.load(path / f"{rank}.pt", weights_only=False) for rank in range(ranks)]


def _rank(rank, work, path, ranks):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{path}/group", rank=rank, world_size=ranks)
    torch.save(work(rank), f"{path}/{rank}.pt")
    dist.barrier()  # no rank leaves while another one is still in a sum
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return in_ranks(every_case, tmp_path_factory.mktemp("ranks"))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_ranks_measure_what_one_process_does(records, case):
    one, two = (numbers(of_rank[case]) for of_rank in records)
    alone = record_of(case)
    expected = numbers(alone)
    single = CASES[case][2] == "single"
    for key in expected.keys() - set(TIMED):
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)
        rtol, atol = (1e-4, 1e-5) if single else (1e-6, 1e-8)
        np.testing.assert_allclose(one[key], expected[key], rtol=rtol, atol=atol, err_msg=key)
    point = records[0][case].point
    assert point.examples == 18
    assert point.fingerprint == alone.point.fingerprint
    assert point.loss == pytest.approx(alone.point.loss)
    assert point.grad_norm == pytest.approx(alone.point.grad_norm)
    assert records[1][case].provenance["world_size"] == 2
    assert "world_size" not in alone.provenance


class Twice(Alone):
    """Two ranks with the same batches, in one process."""

    size = 2

    def __init__(self):
        self.sent = []

    def first(self, value):
        return value

    def from_rank(self, rank, value):
        """What rank 0 sends is sent again, in the same order, by rank 1."""
        self.sent += [value] if rank == 0 else []
        return value if rank == 0 else self.sent.pop(0)

    def sum(self, t):
        return 2 * t

    def differentiable_sum(self, t):
        return 2 * t

    def gather(self, value):
        return [value, value]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[] if case in QUICK else [pytest.mark.slow])
        for case in CASES
        if case != "joined batches"
    ],
)
def test_the_same_batches_on_two_ranks(monkeypatch, case):
    """A sum that is left out shows as a factor of two."""
    kind, settings, name, policy = CASES[case]
    model = network(name)
    if "m" in settings:
        settings = {**settings, "m": 3}  # none is joined
    if settings.get("end", "") is None:
        settings = {**settings, "end": torch.zeros(sum(p.numel() for p in model.parameters()))}
    measure, given = MEASURES[kind](**settings), batches(name)
    twice = [*given, *given]
    alone = measure(Objective(model, twice, cross_entropy, batch_norm=policy))
    monkeypatch.setattr(empirical_risk, "ranks_of", lambda *_: Twice())
    subject = Objective(model, given, cross_entropy, batch_norm=policy)
    record = measure(subject)
    expected, found = numbers(alone), numbers(record)
    for key in expected.keys() - {*TIMED, "hvps" if name == "differences" else ""}:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-4, atol=1e-5, err_msg=key)
    assert record.point.examples == 36
    for key in ("loss", "grad_norm", "fingerprint"):
        assert vars(record.point)[key] == pytest.approx(vars(alone.point)[key]), key


def room_on_one_rank(rank):
    """Memory runs out on rank 1 alone, for all but two examples."""

    room = 99

    def fragile(model, batch):
        if rank == 1 and batch.size > room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return cross_entropy(model, batch)

    found = {}
    for case in ("eigenvalues", "noise", "sharpness", "relative_flatness", "Gauss-Newton"):
        kind, settings, name, _ = CASES[case]
        room, given = 99, shard(batches(name), rank)
        objective = Objective(network(name), given, fragile, group=dist.group.WORLD)
        room = 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[case] = MEASURES[kind](**settings)(objective)
    return found


@pytest.mark.slow
def test_memory_that_runs_out_on_one_rank(tmp_path):
    one, two = in_ranks(room_on_one_rank, tmp_path)
    for case, record in one.items():
        expected, other = numbers(record_of(case)), numbers(two[case])
        for key in expected.keys() - {*TIMED, "hvps"}:  # of smaller batches
            np.testing.assert_array_equal(numbers(record)[key], other[key], err_msg=key)
            np.testing.assert_allclose(
                numbers(record)[key], expected[key], rtol=1e-6, atol=1e-8, err_msg=key
            )


def message(ask):
    try:
        ask()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def misfortunes(rank):
    """What each rank says where one of them fails, or where they are not alike."""
    calls = 0

    def fails_later(model, batch):
        nonlocal calls
        calls += 1
        if rank == 1 and calls > 8:
            raise ValueError("bad example")
        return cross_entropy(model, batch)

    def objective(**options):
        return Objective(
            network("mlp"), shard(batches("mlp"), rank), cross_entropy, group=dist.group.WORLD,
            **options,
        )  # fmt: skip

    def other_vectors():
        subject = objective()
        return subject.hvp(torch.full((68,), 1.0 + rank, dtype=torch.float64))

    def other_model():
        model = network("mlp")
        model[0].bias.data += 1e-9 * rank
        return Objective(model, batches("mlp"), cross_entropy, group=dist.group.WORLD)

    def no_batches():
        given = batches("mlp") if rank == 0 else []
        return Objective(network("mlp"), given, cross_entropy, group=dist.group.WORLD)

    def reestimated(name):
        return lambda: record_of(f"{name}, policy", rank)

    CASES["sharpness, policy"] = "sharpness", SETTINGS["sharpness"], "conv", "reestimated"
    CASES["flatness, policy"] = "relative_flatness", {}, "conv", "reestimated"
    trace = MEASURES["trace"](max_hvps=40)
    return {
        "fails on one": message(lambda: record_of("eigenvalues", rank, fails_later)),
        "works after it": message(lambda: record_of("eigenvalues", rank)),
        "other settings": message(lambda: replace(trace, seed=rank)(objective())),
        "other vectors": message(other_vectors),
        "other model": message(other_model),
        "no batches": message(no_batches),
        "unknown measure": message(lambda: CrossCheck(k=1)(objective())),
        "another library": message(lambda: MEASURES["eigenvalues"](k=1, backend="curvlinops")(
            objective()
        )),
        "its own batches": message(lambda: objective().batches),
        "sharpness": message(reestimated("sharpness")),
        "flatness": message(reestimated("flatness")),
    }  # fmt: skip


@pytest.mark.slow
def test_ranks_fail_together(tmp_path):
    said = {
        "fails on one": "ValueError: bad example",
        "works after it": "no error",
        "other settings": "ValueError: All ranks must ask the same. The settings of Trace differ.",
        "other vectors": "OutOfStep: The ranks compute different things",
        "other model": "ValueError: All ranks must hold one model",
        "no batches": "ValueError: An objective needs at least one batch",
        "unknown measure": "ValueError: CrossCheck does not add up over ranks.",
        "another library": "ValueError: `backend` 'curvlinops' knows nothing of ranks.",
        "its own batches": "ValueError: With a `group` other ranks have further batches",
        "sharpness": "ValueError: Sharpness cannot re-estimate batch norm over ranks.",
        "flatness": "ValueError: Relative flatness cannot re-estimate batch norm over ranks.",
    }
    for messages in in_ranks(misfortunes, tmp_path):
        for what, start in said.items():
            assert messages[what].startswith(start), (what, messages[what])


def kept_rows(rank):
    """A surface in two parts: killed after some rows, and gone on with by another group."""
    objective = Objective(
        network("mlp"), shard(batches("mlp"), rank), cross_entropy, group=dist.group.WORLD
    )
    rows = f"rows-{rank}.jsonl"  # rank 1 writes none

    def stop(done, _total):
        if done == 20:
            raise KeyboardInterrupt

    import landscape.measures.space.evaluate_grid as grid

    grid.BLOCK = 0.0
    with pytest.raises(KeyboardInterrupt):
        MEASURES["surface"](size=5)(objective, keep=rows, progress=stop)
    return MEASURES["surface"](size=5)(objective, keep=rows)


@pytest.mark.slow
def test_rows_are_kept_by_the_first_rank(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for record in in_ranks(kept_rows, tmp_path):
        np.testing.assert_allclose(record.loss, record_of("surface").loss, rtol=1e-9)
    assert not (tmp_path / "rows-1.jsonl").exists()


def one_dies(rank):
    import os

    objective = Objective(
        network("mlp"), shard(batches("mlp"), rank), cross_entropy, group=dist.group.WORLD
    )
    if rank == 1:
        os._exit(0)
    return message(lambda: MEASURES["trace"](max_hvps=40)(objective))


@pytest.mark.slow
def test_a_rank_that_ends_ends_the_others(tmp_path):
    context = mp.get_context("spawn")
    processes = [
        context.Process(target=_rank, args=(rank, one_dies, str(tmp_path), 2)) for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    said = torch.load(tmp_path / "0.pt", weights_only=False)
    assert said.startswith("RuntimeError: The connection to another rank is lost")
