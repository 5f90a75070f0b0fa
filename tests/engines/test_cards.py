"""Cards of one machine: every process its own, several per card where asked, none lost."""

import os
import subprocess
import sys

import pytest

from landscape.engines import cards

PROCESS = """
import sys, torch
torch.cuda.device_count = lambda: 2
from landscape.engines.cards import card
with card({per_card}) as name:
    print(name, __import__("os").environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def processes(tmp_path):
    started = []

    def start(per_card):
        process = subprocess.Popen(
            [sys.executable, "-c", PROCESS.format(per_card=per_card)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "4,6"},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_places_are_taken_card_by_card_and_freed_by_a_kill(processes):
    """Two cards of two places: 4, 6, 4, 6; a fifth waits until a holder is killed."""
    held = []
    for expected in ("4", "6", "4", "6"):
        held.append(processes(2))
        assert held[-1].stdout.readline().split() == [expected, expected]
    fifth = processes(2)
    held[1].kill()
    assert fifth.stdout.readline().split() == ["6", "6"]


def test_a_single_card_is_not_shared_out(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with cards.card(1) as name:
        assert name is None


def test_a_process_keeps_its_card(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cards, "_mine", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    with cards.card(1) as first:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "4"
    with cards.card(1) as second:
        assert first == second == "4"
