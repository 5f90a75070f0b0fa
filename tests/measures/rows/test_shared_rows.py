"""Rows of numbers, each computed once: by one process, or by several that share them."""

import numpy as np
import pytest

from landscape.distributed.ranks import Alone
from landscape.measures.rows.shared_rows import Rows, Share, ShareDone


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows"


class Squares:
    """Computes row i as i², and notes which it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, numbers):
        for i in numbers:
            self.asked.append(i)
            yield np.array([i**2 / 3])


def rows_of(keep, question="q", **options):
    return Rows(keep, lambda: question, ranks=Alone(), **options)


def ended(keep, count, evaluate, **options):
    with pytest.raises(ShareDone) as done:
        rows_of(keep, **options)(count, evaluate)
    return done.value


def test_each_row_is_computed_once_however_often_more_are_asked_for():
    squares, told = Squares(), []
    rows = rows_of(None, progress=lambda *counts: told.append(counts), most=9)
    assert np.concatenate(rows(2, squares)).tolist() == [0, 1 / 3]
    assert np.concatenate(rows(4, squares)).tolist() == [0, 1 / 3, 4 / 3, 9 / 3]
    assert squares.asked == [0, 1, 2, 3] and told == [(1, 9), (2, 9), (3, 9), (4, 9)]


def test_a_share_is_computed_alone_even_beyond_what_is_asked_for_first(path):
    squares, told = Squares(), []
    share = Share(path, rows=(5, 7))
    ended(share, 3, squares, progress=lambda *counts: told.append(counts))
    assert squares.asked == [5, 7] and told == [(1, 2), (2, 2)]
    ended(share, 3, squares)
    assert squares.asked == [5, 7]  # what is in the file is kept


def test_the_head_computes_the_first_missing_row_and_says_what_is_left(path):
    squares = Squares()
    done = ended(Share(path), 4, squares, ways=["plainly"])
    assert squares.asked == [0] and list(done.missing) == [1, 2, 3] and done.ways == ["plainly"]
    ended(Share(path.with_name("rows.1-3"), rows=done.missing), 4, squares)
    rows = rows_of(Share(path, ordered=done.missing))
    assert len(rows(4, squares)) == 4 and squares.asked == [0, 1, 2, 3]
    assert not path.with_name("rows.1-3").exists()
    more = ended(Share(path, ordered=done.missing), 6, squares)
    assert squares.asked[4:] == [4] and list(more.missing) == [5]
    rows.delete()
    assert not path.exists()


def test_rows_that_others_were_to_compute_are_not_filled_in(path):
    ended(Share(path), 3, Squares())
    ended(Share(path.with_name("rows.1-2"), rows=(1, 2)), 3, Squares(), question="another")
    with pytest.raises(ValueError, match="2 of 3 rows are missing, or answer another question"):
        rows_of(Share(path, ordered=(1, 2)))(3, Squares())
