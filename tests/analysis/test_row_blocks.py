"""Rows of one network over an engine: the bits of one process, whatever happens on the way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import landscape as ls
from landscape.analysis import row_blocks
from landscape.engines import make
from landscape.engines.engine import End, Engine
from landscape.measures.space.resumable_rows import KeptRows

OPTIONS = {
    "surface": {"size": (5, 3)}, "profile": {"lines": 3, "size": 3},
    "noise": {"draws": 3, "sigmas": (0.0, 0.05)},
}  # fmt: skip
MEASURES = list(OPTIONS)


class InTurn(Engine):
    """Runs items backwards in this process."""

    def check(self):
        pass

    def at_once(self, device):
        return 2

    def run(self, items, hear):
        for item in reversed(items):
            try:
                yield End(item, item.run(hear), None)
            except ValueError as error:
                yield End(item, None, error)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "r"
    short = {"training": {"epochs": 1, "device": "cpu"}}
    return ls.train("digits", "sgd", out=path, settings=short).path


def analyzed(run, force=True, **more):
    return ls.analyze(run, MEASURES, options=OPTIONS, examples=60, force=force, **more)


def same(one, two):
    for name in MEASURES:
        for array in ("loss", "accuracy", "other_loss", "other_accuracy"):
            a, b = getattr(one[name], array), getattr(two[name], array)
            assert a.tobytes() == b.tobytes(), (name, array)


def test_blocks_have_the_bits_of_one_process(run):
    alone = analyzed(run)
    heard = []
    shared = analyzed(run, engine=InTurn(), progress=heard.append)
    same(alone, shared)
    assert not list((run / "records").glob(".*rows*"))
    whole = [m.share for m in heard if m.label.endswith(": surface")]
    assert whole and all(0 <= share <= 1 for share in whole)


def test_what_failing_blocks_have_done_is_kept_and_their_error_is_raised(run, monkeypatch):
    plain = row_blocks.RowBlock.run

    def failing(self, progress):
        if self.name == "surface" and 3 in self.share.rows:
            raise ValueError("the disk is on fire")
        plain(self, progress)

    monkeypatch.setattr(row_blocks.RowBlock, "run", failing)
    with pytest.raises(ValueError, match="the disk is on fire"):
        analyzed(run, engine=InTurn())
    assert list((run / "records").glob(".surface.rows*"))
    ran = []

    def noted(self, progress):
        ran.append((self.name, list(self.share.rows)))
        plain(self, progress)

    monkeypatch.setattr(row_blocks.RowBlock, "run", noted)
    shared = analyzed(run, engine=InTurn())
    assert [rows for name, rows in ran if name == "surface"] == [[4]]  # the head takes row 3
    monkeypatch.setattr(row_blocks.RowBlock, "run", plain)
    same(analyzed(run), shared)


def test_rows_of_another_question_are_refused(run, monkeypatch):
    plain = row_blocks.RowBlock.run

    def on_another_device(self, progress):
        other = replace(self.measure, seed=1)
        plain(replace(self, measure=other), progress)

    monkeypatch.setattr(row_blocks.RowBlock, "run", on_another_device)
    with pytest.raises(ValueError, match=r"rows are missing, or answer another question"):
        analyzed(run, engine=InTurn())


def test_shares_beside_a_file_are_taken_in(tmp_path):
    for row in (1, 2):
        KeptRows(tmp_path / f".rows.{row}-{row}", "q").add(row, np.array([row / 3]))
    KeptRows(tmp_path / ".rows.4-4", "another").add(4, np.array([0.0]))
    (tmp_path / ".rows.7-7").write_text("cut sh")
    kept = KeptRows(tmp_path / ".rows", "q")
    assert [kept.get(i) for i in (1, 2)] == [1 / 3, 2 / 3] and kept.get(4) is kept.get(7) is None
    assert [path.name for path in tmp_path.iterdir()] == [".rows"]
    assert KeptRows(tmp_path / ".rows", "q").get(2) == 2 / 3


def test_live_objects_are_refused_where_they_cannot_travel(tmp_path):
    import torch

    net = torch.nn.Linear(4, 2)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    data = [(torch.randn(6, 4), torch.zeros(6, dtype=torch.long))]
    with pytest.raises(ValueError, match="`engine` opens the network in other processes: name"):
        ls.analyze(
            tmp_path / "net.pt", ["profile"], model=lambda: net, data=data, device="cpu",
            options={"profile": {"lines": 3, "size": 3}}, engine=InTurn(), out=tmp_path / "m",
        )  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("engine", ["local", "dask"])
def test_a_block_whose_process_is_killed_is_tried_again(engine, tmp_path, monkeypatch):
    """The user's loss kills its process once; two real processes."""
    if engine == "dask":
        pytest.importorskip("distributed", reason="distributed is not installed")
    (tmp_path / "mine.py").write_text(
        "import os, signal, pathlib, torch\n"
        "def loss(model, batch):\n"
        f"    once = pathlib.Path({str(tmp_path / 'once')!r})\n"
        "    command = pathlib.Path('/proc/self/cmdline').read_text()\n"
        "    if 'spawn' in command and not once.exists():\n"
        "        once.touch()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return torch.nn.functional.cross_entropy(model(batch.x), batch.y)\n"
        "def net():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))\n"
    )
    monkeypatch.chdir(tmp_path)
    import torch

    torch.save({"1.weight": torch.randn(10, 64), "1.bias": torch.zeros(10)}, "net.pt")
    call = {"model": "mine.py:net", "data": "digits", "loss": "mine.py:loss", "device": "cpu"}
    call |= {"options": {"surface": {"size": 5}}, "examples": 60, "force": True}
    alone = ls.analyze("net.pt", ["surface"], out="m1", **call)["surface"]
    shared = ls.analyze("net.pt", ["surface"], out="m2", engine=make(engine, workers=2), **call)[
        "surface"
    ]
    assert Path("once").exists()
    assert alone.loss.tobytes() == shared.loss.tobytes()
