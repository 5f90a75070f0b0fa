"""Progress: what the lines say, how often, and on which stream."""

import io

import pytest

from landscape.utils import progress_display as progress
from landscape.utils.progress import SILENCE, Progress, ProgressAggregator
from landscape.utils.progress_display import clock, line
from landscape_cli.progress import shown


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time


def test_the_time_left_follows_the_pace():
    """Half of what was open took 30 s, so the other half takes 30 s; what was done before is no
    pace."""
    board = ProgressAggregator()
    board.add(Progress("compare", "", 20, 100), now=0)
    assert board.seconds_left(0) is None
    board.add(Progress("compare", "", 60, 100), now=30)
    assert board.seconds_left(30) == pytest.approx(30)
    assert line(board, 30) == " 60% compare, 0:30 left"


def test_parts_stand_beside_the_whole_and_go_when_they_end():
    board = ProgressAggregator()
    board.add(Progress("compare", "", 1, 4), now=0)
    board.add(Progress("train", "sam, seed 0", 1, 2), now=0)
    board.add(Progress("measure", "sgd, seed 0: noise", 1, 4), now=0)
    assert line(board, 0) == " 25% compare, sgd, seed 0: noise 25%"
    assert list(board.running) == ["sam, seed 0", "sgd, seed 0"]
    board.add(Progress("measure", "sam, seed 0: noise", 3, 4), now=0)
    board.add(Progress("measure", "sgd, seed 0: surface", 4, 4), now=0)
    assert line(board, 0) == " 25% compare, sam, seed 0: noise 75%"
    board.add(Progress("train", "sgd, seed 1", 0, 1), now=SILENCE)
    assert line(board, SILENCE) == " 25% compare, sgd, seed 1: train 0%"
    board.add(Progress("compare", "", 4, 4), now=SILENCE)
    board.add(Progress("report", "", 0, 1), now=SILENCE)
    assert line(board, SILENCE) == "100% compare, report 0%"


def test_one_after_another_each_counts_from_its_own_start():
    board = ProgressAggregator()
    board.add(Progress("train", "a", 0, 10, "loss 2"), now=0)
    board.add(Progress("train", "a", 5, 10, "loss 1"), now=10)
    assert line(board, 10) == " 50% train: a, 0:10 left, loss 1"
    board.add(Progress("measure", "a: noise", 1, 10), now=20)
    assert board.seconds_left(20) is None
    board.add(Progress("measure", "a: noise", 4, 10), now=23)
    assert board.seconds_left(23) == pytest.approx(6)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.4, "1:05"), (3725, "1:02:05")])
def test_a_clock(seconds, text):
    assert clock(seconds) == text


def test_a_pipe_gets_a_line_now_and_then(capsys):
    """100 messages in 20 s: the first, one every 5 s, the last."""
    now = Clock()
    with shown(now=now) as listen:
        for done in range(1, 101):
            now.time += 0.2
            listen(Progress("train", "sam, seed 0", done, 100))
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split("%")[0]) for line in lines] == [1, 26, 51, 76, 100]
    assert "\x1b" not in "".join(lines)


def test_the_end_and_each_stage_are_told_once(capsys):
    with shown(now=Clock()) as listen:
        for stage in ("train", "measure"):
            for done in (1, 2, 2, 2):
                listen(Progress(stage, "x", done, 2))
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "50% train: x", "100% train: x", "50% measure: x", "100% measure: x",
    ]  # fmt: skip


def test_json_keeps_stdout_to_itself(capsys):
    with shown(json=True) as listen:
        listen(Progress("train", "x", 1, 2))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "train: x" in captured.err


@pytest.fixture
def terminal(monkeypatch):
    """Make stdout a terminal that keeps what was written."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def begin():  # in the test itself: pytest puts its own stdout there after the fixtures
        kept = Terminal()
        monkeypatch.setattr("sys.stdout", kept)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        return kept

    return begin


def test_a_terminal_shows_the_whole_and_its_parts(terminal):
    screen, now = terminal(), Clock()
    with shown(now=now) as listen:
        listen(Progress("compare", "", 0, 4))
        now.time += 30
        listen(Progress("compare", "", 1, 4))
        listen(Progress("train", "sam, seed 0", 1, 2, "test accuracy 0.9"))
    written = screen.getvalue()
    assert "1:30 left" in written
    assert "sam, seed 0: train" in written
    assert "test accuracy 0.9" in written


def test_a_terminal_keeps_to_a_few_rows(terminal):
    """Of 20 parts the ones heard last are shown."""
    screen = terminal()
    with shown(now=Clock()) as listen:
        listen(Progress("compare", "", 0, 20))
        for seed in range(20):
            listen(Progress("train", f"sgd, seed {seed}", 1, 2))
    last_frame = screen.getvalue().rsplit("compare", 1)[1]
    assert last_frame.count("sgd, seed") == progress.ROWS
    assert "sgd, seed 19" in last_frame
