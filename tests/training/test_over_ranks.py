"""Training over two ranks against one process with the whole batches, and torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from landscape.data.dataset import DataSet
from landscape.distributed.launch import enough, own
from landscape.distributed.ranks import ALONE, Alone, Ranks
from landscape.methods import METHODS
from landscape.network.batch import Batch
from landscape.tasks.registry import TASKS, Task
from landscape.training.loop import Training
from landscape.training.over_ranks import RankTraining, dealt, spread
from landscape.training.settings import resolve
from landscape.training.train import train, training_of

SIZES = (16, 15)  # of a batch: two equal parts, and not
SETTINGS = {"msam": {"num_shards": 4}, "fam": {"lam": 0.1}, "lookbehind": {"k": 2}}
SPREAD = {"msam": {"num_shards": 3}}  # each shard is spread over both ranks
CASES = [
    *((method, SETTINGS, size) for method in METHODS for size in SIZES),
    ("msam", SPREAD, 16),
    ("msam", SPREAD, 15),
    *((nested, SPREAD, 15) for nested in ("lets+asam", "lets+msam", "lookbehind+asam", "fam+msam")),
]


class Double(nn.Module):
    def forward(self, x):
        return x.double()


class Small(Task):
    def build(self):
        layers = nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)
        return nn.Sequential(Double(), *layers).double()


def data():
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(110, 6, generator=g), torch.randint(0, 3, (110,), generator=g)
    return DataSet("small", x[:80], y[:80], x[80:], y[80:], 3)


def training(method, settings, size, ranks=ALONE, **options):
    used = {name: settings[name] for name in method.split("+") if name in settings}
    layer = {
        "training": {"epochs": 2, "lr": 0.05, "device": "cpu", **options},
        "data": {"batch_size": size, "held_out": 0.2},
    }
    task = Small("small", "", "", "", measured_at_once=7)
    return training_of(resolve("digits", method, 0, layer, used), task, data(), ranks)


def trained(*case, **options):
    """Weights and the last row of the metrics, without times."""
    run = training(*case, **options)
    while not run.done:
        for _ in run.run_epoch():
            pass
    row = {k: v for k, v in run.rows[-1].items() if "second" not in k}
    return run.walker.w, row


def in_ranks(work, path, ranks=2):
    """Run work(ranks) in processes of one group; what each returned."""
    mp.spawn(_rank, (work, str(path), ranks), nprocs=ranks)
    return [torch.load(path / f"{rank}.pt", weights_only=False) for rank in range(ranks)]


def _rank(rank, work, path, ranks):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{path}/group", rank=rank, world_size=ranks)
    torch.save(work(Ranks(dist.group.WORLD, torch.device("cpu"))), f"{path}/{rank}.pt")
    dist.barrier()  # no rank leaves while another one is still in a sum
    dist.destroy_process_group()


def every_case(ranks):
    return [trained(*case, ranks) for case in CASES]


@pytest.fixture(scope="module")
def over_ranks(tmp_path_factory):
    return in_ranks(every_case, tmp_path_factory.mktemp("ranks"))


@pytest.mark.slow
@pytest.mark.parametrize("i", range(len(CASES)), ids=[f"{c[0]} {c[2]}" for c in CASES])
def test_ranks_train_what_one_process_trains(over_ranks, i):
    (w, row), (other, same_row) = (of_rank[i] for of_rank in over_ranks)
    assert torch.equal(w, other)
    alone, expected = trained(*CASES[i])
    torch.testing.assert_close(w, alone, rtol=1e-9, atol=1e-11)
    assert row.keys() == expected.keys()
    for name, value in expected.items():
        if name == "passes" and CASES[i][0] == "msam":
            continue  # of whole shards those of a rank are counted
        assert row[name] == pytest.approx(value, rel=1e-8, nan_ok=True), name
        assert same_row[name] == pytest.approx(row[name], nan_ok=True), name


def per_rank(ranks):
    refused = ""
    try:
        training("lets", {}, 16, ranks, ascent="per-rank")
    except ValueError as error:
        refused = str(error)
    return [trained("sam", {}, size, ranks, ascent="per-rank") for size in SIZES], refused


@pytest.mark.slow
def test_sam_per_rank_is_msam_with_a_shard_per_rank(tmp_path):
    for runs, refused in in_ranks(per_rank, tmp_path):
        assert refused.startswith("lets would learn another radius on every rank.")
        for size, (w, row) in zip(SIZES, runs, strict=True):
            alone, expected = trained("msam", {"msam": {"num_shards": 2}}, size)
            torch.testing.assert_close(w, alone, rtol=1e-9, atol=1e-11)
            assert row["grad_evals"] == pytest.approx(expected["grad_evals"])


def batch(n):
    return Batch(torch.arange(n), torch.arange(n))


@pytest.mark.parametrize("n", [6, 7, 11])
@pytest.mark.parametrize("ranks", [2, 3])
def test_spread_shards_make_up_those_of_the_whole(n, ranks):
    parts = [spread(batch(n), i, ranks) for i in range(ranks)]
    assert torch.cat([p.x for p in parts]).tolist() == list(range(n))
    for j, shard in enumerate(batch(n).shards(2)):
        assert torch.cat([p.shards(2)[j].x for p in parts]).tolist() == shard.x.tolist()


@pytest.mark.parametrize("n", [8, 11])
def test_dealt_shards_are_those_of_the_whole(n):
    parts = [dealt(batch(n), 4, i, 2) for i in range(2)]
    assert torch.cat([p.x for p in parts]).tolist() == list(range(n))
    dealt_out = [shard.x.tolist() for p in parts for shard in p.shards(4)]
    assert dealt_out == [shard.x.tolist() for shard in batch(n).shards(4)]


class Two(Alone):
    size, index = 2, 1


def test_batches_are_shared_out():
    assert own([1, 2, 3], Two()) == ([1, 2, 3], None)
    pieces = enough([batch(5)], Two())
    assert [p.size for p in pieces] == [2, 3]
    assert enough([batch(5), batch(1)], Two())[1].size == 1


def test_what_cannot_be_trained_over_ranks_is_refused(monkeypatch):
    monkeypatch.setattr("landscape.training.train.Ranks", Two)
    with pytest.raises(ValueError, match=r"`data.batch_size` must be at least the 2 ranks\. Got 1"):
        training("sam", {}, 1, Two())
    with pytest.raises(ValueError, match="another radius on every rank"):
        training("lets", {}, 16, Two(), ascent="per-rank")
    assert isinstance(RankTraining, type) and issubclass(RankTraining, Training)


def torchrun(tmp_path, *arguments, restarts=0):
    """Start `landscape` on two ranks; logs of each rank lie in tmp_path."""
    program = "import sys; from landscape_cli.main import run; run(sys.argv[1:])"
    start = tmp_path / "start.py"
    start.write_text(program)
    return subprocess.Popen(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--standalone", "--max-restarts", str(restarts), str(start), *map(str, arguments),
        ],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


SHORT = ("train", "--task", "digits", "--method", "sam", "--device", "cpu", "--seed", "3")


def ranks_of(torchrun_pid):
    """Process ids of the ranks, by rank."""
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(torchrun_pid)], capture_output=True, text=True
    ).stdout.split()
    found = {}
    for pid in children:
        environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
        ranks = [e.removeprefix("RANK=") for e in environ if e.startswith("RANK=")]
        found |= {int(rank): int(pid) for rank in ranks}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_rank_goes_on_from_the_checkpoint(tmp_path, killed):
    run = tmp_path / "run"
    process = torchrun(
        tmp_path, *SHORT, "--epochs", 12, "--checkpoint-every", 20, "--out", run, restarts=1
    )
    try:
        until = time.monotonic() + 120
        while not (run / "checkpoint.pt").exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert (run / "checkpoint.pt").exists()
        os.kill(ranks_of(process.pid)[killed], signal.SIGKILL)
        said, _ = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert said.count("after 12 epochs") == 1  # one rank speaks
    chosen = {"training": {"epochs": 12, "device": "cpu"}}
    alone = train("digits", "sam", 3, tmp_path / "alone", settings=chosen).metrics
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [row["step"] for row in alone]
    assert rows[-1]["test_loss"] == pytest.approx(alone[-1]["test_loss"], rel=1e-4)
    assert json.loads((run / "environment.json").read_text())["world_size"] == 2
    assert "digits" in TASKS
