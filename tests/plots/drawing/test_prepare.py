"""Grouping, bands and scales."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.plots.drawing.prepare import (
    conditions,
    counts,
    grouped,
    scale,
    shown,
    t_band,
)
from landscape.records import CurvesRecord, SurfaceRecord


def test_t_band_by_hand():
    """1, 2, 3: mean 2, s = 1, t(2) = 4.302653, half = 4.302653/sqrt(3)."""
    mean, low, high = t_band(np.array([[1.0], [2.0], [3.0]]))
    assert mean == [2.0]
    np.testing.assert_allclose((high - low) / 2, 4.302652729911275 / 3**0.5, rtol=1e-9)


def test_one_sample_has_no_band_and_infinity_no_mean():
    mean, low, high = t_band(np.array([[1.0, 2.0]]))
    assert mean.tolist() == [1.0, 2.0]
    assert np.isnan([low, high]).all()
    assert np.isnan(t_band(np.array([[1.0], [np.inf]]))[0]).all()


def test_grouping(surface_record):
    record = surface_record()
    assert grouped(record, SurfaceRecord) == {"": [record]}
    assert grouped({"sam": record, "sgd": []}, SurfaceRecord) == {"sam": [record]}


def test_wrong_records_are_refused(surface_record):
    with pytest.raises(ValueError, match=r"`records` must be curves records. Got SurfaceRecord."):
        grouped(surface_record(), CurvesRecord)
    with pytest.raises(ValueError, match=r"at least one curves record. Got none."):
        grouped({"sgd": []}, CurvesRecord)


def test_scale():
    assert scale(np.array([0.1, 3.1])) == "log"
    assert scale(np.array([0.1, 2.9])) == "linear"
    assert scale(np.array([0.0, 1e9])) == "linear"
    assert scale(np.array([np.nan])) == "linear"


def test_accuracy_is_shown_in_percent():
    assert shown("test_accuracy", 0.5) == 50.0
    assert shown("test_loss", 0.5) == 0.5


def test_words(surface_record):
    assert counts([6, 6], "seed") == "6 seeds"
    assert counts([1, 2], "seed") == "1–2 seeds"
    record = surface_record()
    assert conditions([record]) == "256 training examples, batch norm: reestimated"
    low = replace(record, precision="bf16", precision_error=0.00123)
    assert conditions([record, low]) == (
        "256 training examples, batch norm: reestimated, bf16: off by up to 0.0012 of the loss"
    )
