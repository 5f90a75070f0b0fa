"""Settings of the wrong type, infinite or NaN: refused by name where the object is made."""

import math
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch

from landscape.measures import MEASURES, CrossCheck, Plane, Surface
from landscape.measures.space import grids
from landscape.methods import METHODS
from landscape.methods.ascent import Ascent, Perturbs
from landscape.utils import checks

NAN, INF = math.nan, math.inf
PAIR = tuple[float, float]
OTHER = ("text", object(), {})
# Type of a field -> values that no field of this type may have.
WRONG = {
    int: (2.5, NAN, INF, "3", None, True, (1,), torch.tensor([1, 2])),
    float: (NAN, "0.1", None, True, (0.1,), 1j, np.ones(2)),
    bool: ("no", 1, None, 0.0, (True,)),
    str: (3, None, True, ("a",), np.array(["a"])),
    int | None: (2.5, "3", True, (1,)),
    float | None: (NAN, INF, "0.1", True, (0.1,)),
    float | str: (NAN, INF, None, True, (0.1,)),
    str | None: (3, True, ("a",)),
    PAIR: (0.1, None, "ab", (1,), (NAN, 2.0), ("a", "b"), (0.5, 1.0, 2.0)),
    tuple[float, ...]: (0.1, None, "1", (NAN,), (INF,), ("a",), (None,), (), np.ones(2)),
    tuple[int, ...]: (8, None, "8", (2.5,), (INF,), (NAN,), ("8",), (True,), ()),
    tuple[str, ...]: ("tensor", None, 3, (3,), ()),
    get_type_hints(Surface)["size"]: (2.5, "3", None, (3,), (3, 2.5), (3, 3, 3), True, ()),
    get_type_hints(Surface)["span"]: (
        *(NAN, INF, "1", (), (1.0,), (1.0, NAN), ((0.0, 1.0),), (1.0, (0.0, 1.0)), True),
        ((0.0, 1.0), (1.0, 0.0)),
    ),
    get_type_hints(Surface)["points"]: ("ab", 3, (1.0,), True),
    Plane | None: ("plane", 3),
    torch.Tensor | None: ("w", 3, [1.0]),
    Ascent | None: ("sam", 3, Ascent),
    Perturbs | None: ("sam", 3, Perturbs),
}
INFINITE = {"precision_tolerance"}  # floats that may be: it accepts any error
KINDS = {**MEASURES, **METHODS, "cross_check": CrossCheck}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_setting_refuses_what_it_cannot_be(kind):
    hints = get_type_hints(kind)
    for f in fields(kind):
        if not f.init or hints[f.name] is Any:
            continue
        infinite = (INF, -INF) if hints[f.name] is float and f.name not in INFINITE else ()
        for value in (*WRONG[hints[f.name]], *infinite):
            with pytest.raises(ValueError, match=rf"`{f.name}`"):
                kind(**{f.name: value})
                pytest.fail(f"{kind.__name__}({f.name}={value!r})")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("noise", {"sigmas": [0, np.float32(0.1)], "draws": np.int64(3), "biases": np.True_}),
        ("surface", {"size": [3, 5], "span": [[-1, 1], [0.0, np.float64(2)]]}),
        ("surface", {"points": [torch.zeros(3)] * 2}),
        ("quantization", {"bits": range(4, 9), "granularity": ["tensor"]}),
        ("trace", {"tolerance": 0, "max_hvps": np.int32(30), "layer": "head"}),
        ("profile", {"precision_tolerance": INF}),
    ],
)
def test_numbers_of_numpy_lists_and_whole_numbers_are_allowed(name, settings):
    assert MEASURES[name](**settings)


def test_the_error_tells_rule_and_value():
    with pytest.raises(ValueError, match=r"^`k` must be a whole number\. Got 2\.5\.$"):
        MEASURES["eigenvalues"](k=2.5)
    with pytest.raises(ValueError, match=r"^`rho` must be non-negative and finite\. Got inf\.$"):
        METHODS["sam"](rho=INF)
    with pytest.raises(ValueError, match=r"`radii` must be a tuple, each entry a number\."):
        MEASURES["worst_case"](radii=0.1)
    with pytest.raises(ValueError, match=r"`epsilon` must be non-negative and finite\. Got inf"):
        MEASURES["pac_bayes"](epsilon=np.float64(INF))
    with pytest.raises(ValueError, match=r"Got ndarray of shape \(2,\)"):
        checks.positive(lr=np.ones(2))


def test_lists_make_the_same_grid():
    x, y = grids.axes([3, 5], [[-1, 1], [0, 2]])
    assert x.tolist() == [-1, 0, 1]
    assert y.tolist() == [0, 0.5, 1, 1.5, 2]
