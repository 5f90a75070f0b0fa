"""Rows that survive a kill: bit for bit, for one question only."""

import numpy as np
import pytest

from landscape.measures.rows.resumable_rows import KeptRows

ROW = np.array([[0.1, np.nan, np.inf], [1 / 3, 1e-310, -0.0]])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "rows"


def test_rows_come_back_bit_for_bit(path):
    KeptRows(path, {"seed": 0}).add(4, ROW)
    again = KeptRows(path, {"seed": 0})
    assert again.get(4).tobytes() == ROW.tobytes()
    assert again.get(0) is None


def test_another_question_starts_anew(path):
    KeptRows(path, {"seed": 0}).add(0, ROW)
    assert KeptRows(path, {"seed": 1}).get(0) is None
    assert KeptRows(path, {"seed": 0}).get(0) is None


def test_a_line_that_was_cut_short_is_dropped(path):
    kept = KeptRows(path, "q")
    kept.add(0, ROW)
    kept.add(1, ROW)
    path.write_bytes(path.read_bytes()[:-7])
    again = KeptRows(path, "q")
    assert again.get(0) is not None
    assert again.get(1) is None
    again.add(1, 2 * ROW)
    np.testing.assert_array_equal(KeptRows(path, "q").get(1), 2 * ROW)


def test_deleted_at_the_end(path):
    kept = KeptRows(path, "q")
    kept.add(0, ROW)
    kept.delete()
    assert not path.exists()


def test_without_a_file_nothing_is_kept():
    kept = KeptRows(None, "q")
    kept.add(0, ROW)
    assert kept.get(0) is None
    kept.delete()
