"""Memory, disk or clock that fail, and data that are no numbers: one line that says what to do."""

import errno
import os

import numpy as np
import pytest
import torch
from torch import nn

from landscape.analysis.analyze import analyze
from landscape.data import DATA, DataSet
from landscape.linalg import lanczos
from landscape.linalg.lanczos import BESIDE
from landscape.measures import MEASURES, Eigenvalues
from landscape.measures.curvature import operator as operators
from landscape.network.batch import Batch
from landscape.objective.objective import Objective
from landscape.tasks import registry
from landscape.training import loop
from landscape.training.train import train
from landscape.utils import files, memory
from landscape.utils.memory import free_bytes, memory_for, ran_out
from landscape_cli import errors

SHORT = {"training": {"epochs": 1, "device": "cpu"}, "data": {"batch_size": 512}}
FAILURES = [
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((2**40,), np.dtype(float)),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 TiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
]


def symmetric(n, seed=0):
    a = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (a + a.T) / 2


@pytest.mark.thinned(2)
@pytest.mark.parametrize("which", ["magnitude", "largest", "smallest", "both"])
@pytest.mark.parametrize("spare", [0, 2, 8])
def test_few_vectors_give_the_same_eigenvalues(which, spare):
    """`free` bytes hold the pairs, two more and `spare`: bounds hold against the dense matrix."""
    n, k = 60, 3
    h, pairs = symmetric(n), 6 if which == "both" else 3
    free = (pairs + 2 + spare + 2 * pairs + BESIDE) * n * 8
    held = []

    def product(v):
        held.append(v.untyped_storage().nbytes() // (8 * n))
        return h @ v

    found = lanczos(product, n, k, which, free=free, max_matvecs=6000, dtype=torch.float64)
    assert max(held) <= pairs + 2 + spare + 1
    dense = torch.linalg.eigvalsh(h)
    nearest = (found.values[:, None] - dense).abs().min(dim=1).values
    assert (nearest <= found.bounds).all()
    if spare:
        by_size = dense[dense.abs().argsort(descending=True)]
        ends = torch.cat([dense[:k], dense[-k:]])
        wanted = {
            "magnitude": by_size[:k],
            "largest": dense.flip(0)[:k],
            "smallest": dense[:k],
            "both": ends[ends.abs().argsort(descending=True)],
        }[which]
        assert found.converged.all()
        torch.testing.assert_close(
            found.values, wanted, rtol=0, atol=2e-4 * float(by_size[0].abs())
        )


def test_too_little_for_the_fewest_vectors_names_what_to_lower():
    n = 10**9  # nothing of this size is made
    with pytest.raises(
        ValueError, match=r"10 eigenvectors of n = 1000000000 .* 1.44e\+11 bytes.*--k"
    ):
        lanczos(lambda v: v, n, 10, free=2**30)


def test_eigenvalues_of_a_network_where_little_is_free(small_net, monkeypatch):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(40, 6, generator=g, dtype=torch.float64)
    y = torch.randint(3, (40,), generator=g)
    objective = Objective(
        small_net(), [Batch(x, y)], lambda m, b: nn.functional.cross_entropy(m(b.x), b.y)
    )
    whole = Eigenvalues(k=3)(objective)
    basis = 3 + 2 + 4 + 6 + BESIDE
    monkeypatch.setattr("landscape.measures.eigenvalues.free_bytes", lambda _: 2 * basis * 53 * 8)
    few = Eigenvalues(k=3, max_hvps=3000)(objective)
    assert few.hvps > whole.hvps and few.converged.all()
    np.testing.assert_allclose(few.values, whole.values, atol=float(few.bounds.max()))
    monkeypatch.setattr("landscape.measures.eigenvalues.free_bytes", lambda _: 1000)
    with pytest.raises(ValueError, match="Lower `k`"):
        Eigenvalues(k=3)(objective)


def test_what_is_free_is_known_here():
    free = free_bytes(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize("error", FAILURES, ids=lambda e: type(e).__name__)
def test_a_command_that_runs_out_says_what_to_lower(error, capfd):
    def command():
        raise error

    assert ran_out(error)
    assert errors.reported(command) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: Memory ran out. Lower data.batch_size")


@pytest.mark.parametrize("error", FAILURES, ids=lambda e: type(e).__name__)
def test_a_training_that_runs_out_names_its_batch_size(error, tmp_path, monkeypatch):
    def step(self, batch):
        raise error

    monkeypatch.setattr(loop.Training, "step", step)
    with pytest.raises(ValueError, match=r"training of sgd, seed 0.*data.batch_size, now 512"):
        train("digits", "sgd", 0, tmp_path / "r", settings=SHORT)


def test_a_measure_that_runs_out_names_its_size(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise MemoryError

    run = train("digits", "sgd", 0, tmp_path / "r", settings=SHORT)
    monkeypatch.setattr(MEASURES["surface"], "__call__", refuse)
    with pytest.raises(
        ValueError, match=r"the measure surface.*--examples, now 64, or surface.size"
    ):
        analyze(run, ["surface"], examples=64, options={"surface": {"size": 5}})


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), memory_for("x", "y"):
        raise RuntimeError("shapes do not match")


def test_a_full_disk_names_the_file_and_what_it_needs(tmp_path, monkeypatch, capfd):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "f").write_text("before")
    monkeypatch.setattr(files.os, "fsync", full)
    assert errors.reported(lambda: files.write(tmp_path / "f", b"x" * 1234)) == 2
    err = capfd.readouterr().err
    assert f"{tmp_path}/f: No space left" in err and "1234 bytes are needed" in err
    assert (tmp_path / "f").read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def dataset(part, name, value, **changes):
    digits = DATA["digits"]()
    arrays = {
        key: getattr(digits, key).clone() for key in ("train_x", "train_y", "test_x", "test_y")
    }
    arrays |= changes
    arrays[f"{part}_{name}"] = arrays[f"{part}_{name}"].float()
    arrays[f"{part}_{name}"].reshape(len(arrays[f"{part}_{name}"]), -1)[[0, 2, 5], -1] = value
    return DataSet("digits", **arrays, classes=0 if name == "y" else 10)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("part", ["train", "test"])
def test_data_that_are_no_numbers_are_told_before_training(part, value, tmp_path, monkeypatch):
    bad = dataset(part, "x", value)
    monkeypatch.setitem(DATA, "digits", lambda data_dir=None: bad)
    monkeypatch.setattr("landscape.training.run._loaded", {})
    title = "training" if part == "train" else "test"
    with pytest.raises(ValueError, match=f"x of the {title} set holds NaN or infinity in 3 of"):
        train("digits", "sgd", 0, tmp_path / "r", settings=SHORT)


def test_targets_too_unless_the_loss_is_the_users(monkeypatch):
    reals = {"train_y": torch.zeros(5), "train_x": torch.zeros(5, 2)}
    bad = dataset(
        "test", "y", float("nan"), test_y=torch.zeros(9), test_x=torch.zeros(9, 2), **reals
    )
    monkeypatch.setitem(DATA, "digits", lambda data_dir=None: bad)
    task = registry.task("digits")
    with pytest.raises(ValueError, match="y of the test set holds NaN or infinity in 3 of 9"):
        task.load()
    registry.Task("own", "", "mlp", "digits", loss="mine.py:loss").load()


def test_large_numbers_that_are_finite_pass():
    from landscape.data.dataset import check_finite

    check_finite("x", torch.full((4, 3), 3e38))


def test_a_clock_that_does_not_advance(small_net, monkeypatch, tmp_path):
    for module in (operators, loop):
        monkeypatch.setattr(module.time, "perf_counter", lambda: 5.0)
    batch = Batch(torch.randn(4, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0]))
    objective = Objective(
        small_net(), [batch], lambda m, b: nn.functional.cross_entropy(m(b.x), b.y)
    )
    assert np.isfinite(Eigenvalues(k=1)(objective).product_cost)
    train("digits", "sgd", 0, tmp_path / "r", settings=SHORT)


def test_available_memory_of_a_container(tmp_path, monkeypatch):
    for name, text in (("memory.max", "1000\n"), ("memory.current", "400\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "control_groups", lambda controller: [tmp_path])
    monkeypatch.setattr(memory, "_available", lambda: None)
    assert free_bytes(torch.device("cpu")) == 600
    (tmp_path / "memory.stat").write_text("anon 350\ninactive_file 50\n")
    assert free_bytes(torch.device("cpu")) == 650  # files at hand can be dropped
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes(torch.device("cpu")) is None


def test_available_memory_of_nested_groups_is_the_least(tmp_path, monkeypatch):
    """A job of Slurm is limited by a group around its own."""
    job, task = tmp_path / "job", tmp_path / "job" / "task"
    task.mkdir(parents=True)
    for group, limit in ((job, 1000), (task, 2**62)):
        (group / "memory.limit_in_bytes").write_text(f"{limit}\n")
        (group / "memory.usage_in_bytes").write_text("300\n")
    monkeypatch.setattr(memory, "control_groups", lambda controller: [task, job])
    monkeypatch.setattr(memory, "_available", lambda: 10_000)
    assert free_bytes(torch.device("cpu")) == 700
