"""Preemption and closed pipes, on the real command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LANDSCAPE = Path(sys.executable).with_name("landscape")
pytestmark = pytest.mark.slow


def command(words):
    return [LANDSCAPE, *words.split()]


def environment():
    return {**os.environ, "COLUMNS": "80"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_stops_the_training_and_the_same_command_goes_on(tmp_path, number):
    words = f"train --task digits --method sam --epochs 400 --out {tmp_path}/r --resume"
    training = subprocess.Popen(
        command(words), env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    settings = tmp_path / "r" / "settings.json"
    end = time.monotonic() + 120
    while not settings.exists() and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(2)
    training.send_signal(number)
    _, said = training.communicate(timeout=60)
    assert training.returncode == 130 and "Traceback" not in said
    assert json.loads((tmp_path / "r" / "status.json").read_text())["state"] == "interrupted"
    assert (tmp_path / "r" / "checkpoint.pt").exists()
    assert not (tmp_path / "r" / ".lock").exists()


def test_a_reader_that_leaves_does_not_stop_the_training(tmp_path):
    words = f"train --task digits --method sgd --epochs 3 --out {tmp_path}/r"
    line = " ".join(map(str, command(words))) + " | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and not done.stderr
    assert json.loads((tmp_path / "r" / "status.json").read_text())["state"] == "finished"
