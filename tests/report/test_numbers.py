"""Numbers with as many digits as they deserve."""

import math

import pytest

from landscape.report.numbers import number, p_value, signed_interval, with_interval

NAN = math.nan


@pytest.mark.parametrize(
    "value, uncertainty, expected",
    [
        (0.92134, 0.0041, "0.9213"),
        (41.237, 6.3, "41.2"),
        (1234.5, 120.0, "1234"),
        (-0.5, 0.1, "−0.50"),
        (0.123456, NAN, "0.1235"),
        (12.0, 0.0, "12"),
        (1.5e8, 2e6, "1.5e+08"),
        (NAN, 0.1, "–"),
        (math.inf, NAN, "–"),
    ],
)
def test_number(value, uncertainty, expected):
    assert number(value, uncertainty) == expected


def test_with_interval():
    assert with_interval(0.92134, 0.91724, 0.92544) == "0.9213 ± 0.0041"
    assert with_interval(0.92134, NAN, NAN) == "0.9213"
    assert with_interval(NAN, NAN, NAN) == "–"
    assert with_interval(0.92134, 0.91724, 0.92544, typical=0.012) == "0.921 ± 0.004"
    assert with_interval(0.92134, 0.92133, 0.92135, typical=0.012) == "0.921340 ± 0.000010"


def test_signed_interval():
    assert signed_interval(1.5, 1.1, 1.9) == "+1.50 [+1.10, +1.90]"
    assert signed_interval(-0.2, -0.5, 0.1) == "−0.20 [−0.50, +0.10]"
    assert signed_interval(1.5, NAN, NAN) == "+1.5"


def test_p_value():
    assert [p_value(p) for p in (0.0004, 0.0312, NAN)] == ["< 0.001", "0.031", "–"]
