"""Two commands on one folder: one writes, the other says who does."""

import json
import os
import subprocess
import sys
import time

import pytest

from landscape.training.train import train
from landscape.utils.lock import one_writer

HOLD = """
import sys, time
from pathlib import Path
from landscape.utils.lock import one_writer
with one_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_writer_names_the_first(holder, tmp_path):
    words = rf"is being written by process {holder.pid} on \S+ since .*Wait until"
    with pytest.raises(ValueError, match=words):
        train("digits", "sgd", 0, tmp_path, settings={"training": {"epochs": 1}})


def test_the_lock_is_free_when_its_holder_was_killed(holder, tmp_path):
    holder.kill()
    holder.wait()
    with one_writer(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".lock").exists()


def test_left_over_temporary_files_are_swept(tmp_path):
    (tmp_path / "records").mkdir()
    left = [tmp_path / ".status.json.ab12.tmp", tmp_path / "records" / ".noise.nc.x.tmp"]
    for path in left:
        path.write_text("half")
    with one_writer(tmp_path):
        assert not any(path.exists() for path in left)


def test_without_locks_the_holder_file_decides(tmp_path, monkeypatch):
    monkeypatch.setattr("landscape.utils.lock.fcntl", None)
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    import socket

    def left_by(pid, host):
        holder = {"pid": pid, "host": host, "since": time.strftime("%H:%M")}
        (tmp_path / ".lock").write_text(json.dumps(holder))

    left_by(int(gone.stdout), socket.gethostname())
    with one_writer(tmp_path):
        pass
    for pid, host in ((1, socket.gethostname()), (1, "elsewhere")):
        left_by(pid, host)
        with pytest.raises(ValueError, match=f"by process 1 on {host}"), one_writer(tmp_path):
            pass
