"""Distances of modules from those of their parameters, worked by hand."""

import math

import numpy as np
import pytest

from landscape.records import DisplacementRecord, Part


def record(**changed):
    """A body of 3 and 4 from 6 and 8, a frozen norm, a drawn head, a token without a module."""
    columns = {
        "parameters": ["body.0.weight", "body.0.bias", "body.norm.weight", "head.weight", "token"],
        "elements": [6, 2, 2, 4, 3],
        "distance": [3.0, 4.0, 0.0, 5.0, 12.0],
        "start_norm": [6.0, 8.0, 1.0, 0.0, 24.0],
        "frozen": [False, False, True, False, False],
        "drawn": [False, False, False, True, False],
    } | changed
    return DisplacementRecord(**{name: np.array(value) for name, value in columns.items()})


def test_squares_of_a_module_add_up():
    parts = record().parts()
    assert list(parts) == [
        Part("body.0"), Part("body.norm", frozen=True), Part("head", drawn=True), Part("token"),
    ]  # fmt: skip
    assert parts[Part("body.0")] == (5.0, 0.5)
    assert parts[Part("body.norm", frozen=True)] == (0.0, 0.0)
    assert parts[Part("token")] == (12.0, 0.5)


def test_no_share_of_a_start_at_zero():
    distance, relative = record().parts()[Part("head", drawn=True)]
    assert distance == 5.0 and math.isnan(relative)


def test_what_is_frozen_stays_apart_where_modules_stand_together():
    assert [part.label for part in record().parts(1)] == [
        "body", "body (frozen)", "head (drawn)", "token"
    ]  # fmt: skip
    assert Part("head", frozen=True, drawn=True).label == "head (drawn, frozen)"


def test_the_whole_leaves_out_what_is_frozen_or_drawn():
    assert record().relative == pytest.approx(math.hypot(3, 4, 12) / math.hypot(6, 8, 24))
    assert record().trained == 6 + 2 + 4 + 3
    assert math.isnan(record(frozen=[True] * 5).relative)


def test_an_unknown_start_leaves_the_distance_unknown():
    parts = record(distance=[3.0, math.nan, 0.0, 5.0, 12.0]).parts()
    assert math.isnan(parts[Part("body.0")][0]) and math.isnan(parts[Part("body.0")][1])
