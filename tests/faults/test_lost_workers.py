"""A study goes on when a worker is killed or a cell fails, and says what failed and why."""

import json
import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from landscape.engines import Local
from landscape.study.cell import Cell
from landscape.study.pool import run_all
from landscape.study.study import Study, compare
from landscape.utils.progress import silent

SHORT = {"training": {"epochs": 2, "device": "cpu"}}


def cell(path, method="sgd", seed=0, **training):
    overrides = {"training": {**SHORT["training"], **training}}
    return Cell(
        "digits", method, seed, path / f"{method}{seed}", overrides, (), {},
        examples=50, batch_norm="stored", data_dir=None,
    )  # fmt: skip


def workers():
    """Process numbers of the workers that this process has started."""
    own = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())]
    lines = subprocess.run(own, capture_output=True, text=True).stdout.splitlines()
    return [int(line.split()[0]) for line in lines if "spawn_main" in line]


class Killer(threading.Thread):
    """Kills a worker at random times, so many times."""

    def __init__(self, times, seconds, seed=0):
        super().__init__(daemon=True)
        self.left, self.seconds, self.random = times, seconds, random.Random(seed)
        self.done = threading.Event()

    def run(self):
        while self.left and not self.done.wait(self.random.uniform(*self.seconds)):
            if found := workers():
                os.kill(self.random.choice(found), signal.SIGKILL)
                self.left -= 1


def test_a_failing_cell_stops_no_other_and_is_named(tmp_path):
    bad = cell(tmp_path)
    bad.path.mkdir()
    (bad.path / "settings.json").write_text("{")
    (failure,) = run_all([bad, cell(tmp_path, "sam")], Local(workers=1), silent, tmp_path)
    assert str(failure).startswith("sgd, seed 0: ") and "is not valid JSON" in failure.why
    assert (tmp_path / "sam0" / "manifest.json").exists()


def test_where_every_cell_fails_the_first_error_is_raised(tmp_path):
    with pytest.raises(ValueError, match="lr"):
        run_all(
            [cell(tmp_path, lr=-1.0), cell(tmp_path, "sam", lr=-1.0)],
            Local(workers=1),
            silent,
            tmp_path,
        )


def test_failures_stand_in_the_study_and_in_its_notes(tmp_path, monkeypatch, no_figures):
    plain = Cell.run

    def run(self, progress):
        if self.seed == 1:
            raise RuntimeError("the disk\nis on fire")
        return plain(self, progress)

    monkeypatch.setattr(Cell, "run", run)
    call = {"settings": SHORT, "workers": 1, "measures": ["noise"]}
    call["options"] = {"noise": {"draws": 2, "sigmas": (0.1,)}}
    study = compare("digits", ["sgd"], 2, tmp_path / "s", **call)
    assert [str(f) for f in study.failures] == ["sgd, seed 1: RuntimeError: the disk is on fire"]
    assert "the disk is on fire" in study.report.read_text()
    monkeypatch.setattr(Cell, "run", plain)
    assert not compare("digits", ["sgd"], 2, tmp_path / "s", **call).failures


@pytest.mark.slow
def test_a_lost_cell_is_tried_again(tmp_path):
    killer = Killer(2, (0.5, 0.6))
    killer.start()
    cells = [cell(tmp_path, method, epochs=150) for method in ("sgd", "sam", "asam")]
    assert run_all(cells, Local(workers=2), silent, tmp_path) == []
    killer.done.set()
    assert killer.left < 2
    whole = cell(tmp_path / "whole", "asam", epochs=150).run(silent).path
    one, two = (p / "weights.safetensors" for p in (whole, tmp_path / "asam0"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
def test_a_cell_whose_process_is_always_lost_is_named(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import os, signal, torch\n"
        "def loss(model, batch):\n"
        "    if 'spawn' in open('/proc/self/cmdline').read():\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return torch.nn.functional.cross_entropy(model(batch.x), batch.y)\n"
    )
    monkeypatch.chdir(tmp_path)
    command = "compare --task digits --loss mine.py:loss --methods sgd --seeds 2 --out s --epochs 1"
    landscape = Path(os.sys.executable).with_name("landscape")
    ended = subprocess.run(
        [landscape, *command.split(), "--workers", "2"], capture_output=True, text=True
    )
    assert ended.returncode in (1, 2) and "Traceback" not in ended.stderr
    assert "its process was lost 3 times" in ended.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_of_sixty_cells_under_random_kills(tmp_path):
    """Workers are killed at random; the study ends with the numbers of the undisturbed one."""
    call = {"settings": SHORT, "workers": 2, "measures": ["noise"]}
    call["options"] = {"noise": {"draws": 2, "sigmas": (0.1,)}}
    methods = ["sgd", "adamw", "sam", "asam", "aace", "msam"]
    whole = compare("digits", methods, 10, tmp_path / "whole", **call)
    killer = Killer(12, (1.0, 4.0), seed=1)
    killer.start()
    disturbed = compare("digits", methods, 10, tmp_path / "disturbed", **call)
    if disturbed.failures:  # three losses of one cell: the same command goes on
        disturbed = compare("digits", methods, 10, tmp_path / "disturbed", **call)
    killer.done.set()
    assert not disturbed.failures and killer.left < 12
    ours, theirs = (Study(s.path) for s in (disturbed, whole))
    assert ours.runs.keys() == theirs.runs.keys() and len(ours.runs) == 60
    for key, run in ours.runs.items():
        a, b = (r.path / "weights.safetensors" for r in (run, theirs.runs[key]))
        assert a.read_bytes() == b.read_bytes(), key
        assert (ours.cells[key]["noise"].loss == theirs.cells[key]["noise"].loss).all(), key
    assert json.loads((ours.path / "study.json").read_text())["failed"] == []
