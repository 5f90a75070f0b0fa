"""The decision whether a difference is shown: made once, kept, derived for older records."""

from pathlib import Path

import numpy as np
import pytest

from landscape.records import ComparisonRecord, load, shown_direction

NAN = np.nan
OLD = Path(__file__).parents[1] / "records_v1" / "comparison.nc"


@pytest.mark.parametrize(
    "low, high, p, direction",
    [
        (0.1, 0.3, 0.01, 1),
        (-0.3, -0.1, 0.01, -1),
        (0.1, 0.1, 0.01, 1),  # the same difference on every seed, p from the sign flips
        (0.1, 0.1, 0.25, 0),  # three seeds cannot show more
        (-0.1, 0.3, 0.01, 0),
        (0.0, 0.3, 0.01, 0),
        (0.0, 0.0, 0.001, 0),
        (0.1, 0.3, 0.05, 0),
        (-0.3, -0.1, 0.2, 0),
        (0.1, 0.3, NAN, 0),
        (NAN, NAN, 0.01, NAN),
        (0.1, np.inf, 0.01, NAN),
    ],
)
def test_a_difference_is_shown_where_interval_and_holm_agree(low, high, p, direction):
    assert shown_direction(low, high, p) == pytest.approx(direction, nan_ok=True)


def record(**fields):
    names = ("mean", "low", "high", "n", "effect_size", "t_p", "sign_flip_p", "difference")
    shape, none = (1, 3), np.zeros(0)
    return ComparisonRecord(
        metrics=np.array(["test_loss"]), methods=np.array(["sgd", "sam", "fam"]),
        **{name: np.ones(shape) for name in names},
        difference_low=np.array([[NAN, 0.1, -0.1]]), difference_high=np.array([[NAN, 0.3, 0.3]]),
        holm_p=np.array([[NAN, 0.01, 0.01]]), measures=none, tau=none, tau_low=none, tau_high=none,
        within_tau=none, baseline="sgd", **fields,
    )  # fmt: skip


def test_the_record_keeps_the_decision(tmp_path):
    made = record()
    np.testing.assert_array_equal(made.direction, [[NAN, 1, 0]])
    kept = record(direction=np.array([[NAN, 0.0, -1.0]]))  # of a program with another rule
    kept.save(tmp_path / "comparison.nc")
    np.testing.assert_array_equal(load(tmp_path / "comparison.nc").direction, [[NAN, 0, -1]])


def test_a_record_of_before_gets_it_on_loading():
    old = load(OLD)
    decided = shown_direction(old.difference_low, old.difference_high, old.holm_p)
    assert old.direction.shape == old.difference.shape and np.isfinite(decided).any()
    np.testing.assert_array_equal(old.direction, decided)
