"""Networks from outside: a part of the differential suite of `benchmarks/foreign.py`."""

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import foreign
from differential import CASES
from differential.measures import MEASURES
from differential.methods import METHODS

SLOW = (
    "InfoNCE, one batch of pairs",
    "weight norm, parametrised",
    "adapter that merges in eval()",
    "batch norm with activation, re-estimated",
    "GRU on packed sequences",
    "graph convolution, sparse adjacency",
)
SOME = ("value", "product", "noise", "quantization", "surface")


def words(row):
    """What is neither right nor refused."""
    return {
        column: found for column, found in row.items() if found.kind not in ("right", "refused")
    }


def test_there_are_at_least_forty_cases():
    assert len(CASES) >= 40


@pytest.mark.parametrize("name", ["buffers updated in forward", "tied auto-encoder"])
def test_measures_and_methods_are_those_of_plain_torch(name):
    assert words(foreign.measured(name, SOME)) == {}
    assert words(foreign.trained(name, ("sgd", "sam", "lookahead"))) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_measure_and_method_is_that_of_plain_torch(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = {**foreign.measured(name, MEASURES), **foreign.trained(name, METHODS)}
    assert words(rows) == {}


def test_a_wrong_answer_is_seen(monkeypatch):
    monkeypatch.setattr(foreign.ls.Objective, "value", lambda *_: 1.0)
    row = foreign.measured("tied auto-encoder", ("value",))
    assert row["value"].kind == "WRONG"
    assert "1 for" in foreign.page({"tied": row}, {})
