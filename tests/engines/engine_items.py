"""Items for the tests of engines, importable by their workers."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from landscape.utils.progress import Progress


@dataclass(frozen=True)
class Task:
    """Does what its name says, and notes each of its processes in a file."""

    label: str
    folder: Path
    seconds: float = 0.0
    device: str = "cpu"

    def run(self, progress):
        with (self.folder / f"{self.label}.pids").open("a") as file:
            file.write(f"{os.getpid()}\n")
        for step in range(int(self.seconds / 0.05)):
            progress(Progress("train", self.label, step, 1 + self.seconds / 0.05))
            time.sleep(0.05)
        if self.label.startswith("fails"):
            raise ValueError(f"{self.label} as it should")
        if self.label.startswith("dies"):
            os.kill(os.getpid(), signal.SIGKILL)
        return self.label.upper()

    @property
    def processes(self):
        path = self.folder / f"{self.label}.pids"
        return path.read_text().split() if path.exists() else []


def kill_first(task, seconds=60):
    """Kill the first process of a task, once it has one."""
    end = time.monotonic() + seconds
    while not task.processes:
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(0.3)
    os.kill(int(task.processes[0]), signal.SIGKILL)
