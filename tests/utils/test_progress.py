"""The sum of messages: jobs count alike, and so do the steps of a job."""

import pytest

from landscape.utils.progress import Progress, ProgressAggregator


def test_steps_of_jobs_sum_to_the_whole():
    """Two jobs of training and one measure: half of a measure is 3/4 of its job."""
    board = ProgressAggregator({"a": ("", "noise"), "b": ("", "noise")}, "tuning")
    board.add(Progress("train", "a", 5, 10))
    assert (board.whole.stage, board.whole.label, board.whole.done) == ("compare", "tuning", 0.25)
    board.add(Progress("measure", "a: noise", 1, 2))
    board.add(Progress("train", "b", 0, 10))
    assert board.share == pytest.approx(0.75 / 2)
    board.finish("a")
    assert (board.whole.done, board.whole.total) == (1.0, 2)
    board.finish("b")
    assert board.share == 1.0


def test_a_measure_of_several_words_is_found():
    board = ProgressAggregator({"a": ("", "spectral_density")})
    board.add(Progress("measure", "a: spectral density", 1, 2))
    assert board.share == 0.75


def test_work_of_no_length_is_done():
    assert Progress("train", "a", 0, 0).share == 1.0


LONG = {"": 100.0, "noise": 1.0, "surface": 0.5, "profile": 0.2, "pruning": 0.2}
SHORT = {"": 1.0, "noise": 1.0, "surface": 5.0, "profile": 0.1, "pruning": 0.1}
SPEED = {"sgd": 1.0, "sam": 2.0, "msam": 2.0}  # training times differ between methods


@pytest.mark.parametrize("seconds", [LONG, SHORT], ids=["long training", "short training"])
def test_time_left_is_never_many_times_the_truth_and_soon_right(seconds):
    """18 jobs one after another with steps of unequal length, told in tenths of a step."""
    cells = [(m, seed) for seed in range(6) for m in SPEED]
    jobs = {f"{method}, seed {seed}": tuple(seconds) for method, seed in cells}
    lengths = {
        job: {
            step: t * (SPEED[job.partition(",")[0]] if step == "" else 1)
            for step, t in seconds.items()
        }
        for job in jobs
    }
    whole = sum(sum(each.values()) for each in lengths.values())
    now, seen = 0.0, []
    shown = ProgressAggregator()

    def listen(message):
        shown.add(message, now)
        left = shown.seconds_left(now)
        if left is not None:
            seen.append((now, left / (whole - now)))

    board = ProgressAggregator(jobs, "", listen, clock=lambda: now)
    for job, steps in lengths.items():
        for step, length in steps.items():
            for tenth in range(11):
                now += length / 10 if tenth else 0.0
                label = f"{job}: {step}" if step else job
                board.hear(Progress("measure" if step else "train", label, tenth, 10))
        board.finish(job)
    assert max(ratio for at, ratio in seen if at < 0.98 * whole) < 3
    assert seen[0][0] < max(30, 0.2 * whole)
    assert all(0.4 < ratio < 1.8 for at, ratio in seen if 0.4 * whole < at < 0.98 * whole)


def test_a_share_that_was_told_is_not_taken_back():
    clock = iter(range(100))
    board = ProgressAggregator({"a": ("", "noise"), "b": ("", "noise")}, clock=lambda: next(clock))
    shares = []
    for label, done in [("a", 1), ("a", 9), ("a: noise", 1), ("a: noise", 2), ("a: noise", 9)]:
        board.hear(Progress("measure" if ":" in label else "train", label, done, 10))
        shares.append(board.share)
    assert shares == sorted(shares)
