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
