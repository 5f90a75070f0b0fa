"""Cells over processes: the whole is told, an error stops no other, finished ones stay."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from landscape.engines import Local, local
from landscape.study.cell import Cell
from landscape.study.pool import run_all
from landscape.utils.progress import silent


def cell(path, method="sgd", seed=0, epochs=1, **training):
    overrides = {"training": {"epochs": epochs, "device": "cpu", **training}}
    options = {"eigenvalues": {"k": 2}}
    return Cell(
        "digits", method, seed, path / f"{method}{seed}", overrides, ("eigenvalues",), options,
        examples=50, batch_norm="stored", data_dir=None,
    )  # fmt: skip


def test_progress_of_the_whole_rises_to_the_number_of_cells(tmp_path):
    heard = []
    run_all([cell(tmp_path), cell(tmp_path, "sam")], Local(workers=1), heard.append, tmp_path)
    whole = [m.done for m in heard if m.stage == "compare"]
    assert whole == sorted(whole) and whole[-1] == 2
    assert 0.5 in whole  # a training, and one measure to come
    assert {m.label for m in heard} >= {"sgd, seed 0", "sam, seed 0: eigenvalues"}


def test_finished_cells_are_not_done_again(tmp_path):
    run_all([cell(tmp_path)], Local(workers=1), silent, tmp_path)
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nc")}
    run_all([cell(tmp_path)], Local(workers=1), silent, tmp_path)
    assert written == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nc")}


def test_a_diverged_cell_is_not_measured(tmp_path):
    run = cell(tmp_path, lr=1e4, momentum=0.99).run(silent)
    assert run.status["state"] == "diverged" and not list(tmp_path.rglob("*.nc"))


@pytest.mark.parametrize(
    ("devices", "visible", "expected"),
    [
        (["cuda", "auto"], ["4", "6"], ["4", "6", "4"]),
        (["auto", "auto"], ["4"], [None] * 3),
        (["cuda", "cuda:1"], ["4", "6"], [None] * 3),
        (["cpu", "cpu"], ["4", "6"], [None] * 3),
        (["auto"], [], [None] * 3),
    ],
)
def test_workers_take_the_visible_cards_in_turn(devices, visible, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(visible))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(visible))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(visible))
    cells = [cell(tmp_path, device=device) for device in devices]
    assert local.shared_cards(cells, 3) == expected


class Told:
    """A cell that writes down which card its process sees."""

    measures = ()

    def __init__(self, path):
        self.label = self.method = path.name
        self.path, self.seed, self.device, self.data_dir = path, 0, "cpu", None

    def run(self, tell):
        self.path.write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))


@pytest.mark.slow
def test_each_worker_sees_its_card(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "shared_cards", lambda cells, workers: ["4", "6"])
    paths = [tmp_path / name for name in "ab"]
    assert run_all([Told(p) for p in paths], Local(workers=2), silent, tmp_path) == []
    assert [p.read_text() for p in paths] == ["4", "6"]


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    cells = [("sgd", 0), ("sam", 1)]
    run_all([cell(one, m, s) for m, s in cells], Local(workers=1), silent, tmp_path)
    run_all([cell(two, m, s) for m, s in cells], Local(workers=2), silent, tmp_path)
    for method, seed in cells:
        a, b = (p / f"{method}{seed}" / "weights.safetensors" for p in (one, two))
        assert a.read_bytes() == b.read_bytes()


@pytest.mark.slow
def test_an_error_in_a_worker_is_returned_and_stops_no_other(tmp_path):
    bad = cell(tmp_path, epochs=2)
    bad.path.mkdir()
    (bad.path / "settings.json").write_text("{")
    (failure,) = run_all([bad, cell(tmp_path, "sam", epochs=2)], Local(workers=2), silent, tmp_path)
    assert failure.method == "sgd" and "is not valid JSON" in failure.why
    assert (tmp_path / "sam0" / "manifest.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path, how):
    """Ctrl-C, or a kill of the parent alone: no worker lives on, and the study can go on."""
    code = (
        "from landscape.study.study import compare\n"
        "if __name__ == '__main__':\n"
        f"    compare('digits', ['sgd', 'sam'], 1, {str(tmp_path / 'study')!r}, workers=2,\n"
        "            settings={'training': {'epochs': 4000}})\n"
    )
    (tmp_path / "main.py").write_text(code)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "main.py"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job may ignore it
    )
    runs = tmp_path / "study" / "runs"
    _wait_until(lambda: len(list(runs.glob("*/settings.json"))) == 2, 60)
    time.sleep(1)
    workers = _children(parent.pid)
    parent.send_signal(how)
    parent.wait(30)
    _wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 20)
    assert len(workers) >= 2
    if how == signal.SIGINT:
        states = [p.read_text() for p in runs.glob("*/status.json")]
        assert len(states) == 2 and all("interrupted" in s for s in states)


def _children(pid):
    """Process numbers of the direct children."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def _wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)
