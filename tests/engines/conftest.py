"""Items that the workers of real engines can import."""

import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)
from engine_items import Task  # noqa: E402


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Make a task by label; processes that start from now on can import it."""
    paths = [HERE, os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return lambda label, seconds=0.0: Task(label, tmp_path, seconds)
