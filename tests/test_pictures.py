"""The pictures of the methods' cards show what their captions say."""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
VALLEY = np.log(4)  # a·b where the loss is least


@pytest.fixture(scope="module")
def walked():
    """walked(method) -> weights after every step and points where gradients were taken."""
    sys.path.insert(0, str(FOLDER))
    try:
        import method_paths
    finally:
        sys.path.remove(str(FOLDER))
    return cache(method_paths.walked)


def end(path):
    """(a·b, b) after the last step."""
    return float(np.prod(path[0][-1])), float(path[0][-1][1])


def test_sgd_stops_at_the_bottom_of_the_valley(walked):
    bottom, b = end(walked("sgd"))
    assert bottom == pytest.approx(VALLEY, abs=1e-4)
    assert b > 2.4


@pytest.mark.parametrize("method", ["sam", "lets", "msam", "lookbehind", "multistep-sam"])
def test_those_that_climb_drift_to_where_it_is_flatter(walked, method):
    bottom, b = end(walked(method))
    assert bottom == pytest.approx(VALLEY, abs=0.2)
    assert b < end(walked("sgd"))[1] - 0.5


@pytest.mark.parametrize(
    ("method", "low", "high"), [("asam", 1.0, 1.6), ("fam", 1.1, 1.3), ("aace", 1.8, 3)]
)
def test_those_that_stay_and_on_which_side(walked, method, low, high):
    bottom, b = end(walked(method))
    assert low < bottom < high and b > 2.3


def test_rings_are_the_places_of_gradients_away_from_the_weights(walked):
    counts = {name: len(walked(name)[1]) for name in ("sgd", "sam", "msam", "multistep-sam")}
    assert counts == {"sgd": 0, "sam": 6, "msam": 24, "multistep-sam": 12}


def test_lookahead_goes_the_way_of_sgd(walked):
    assert np.allclose(walked("lookahead")[0][-1], walked("sgd")[0][-1], atol=0.01)
