"""Passes are counted, not taken from a docstring."""

import pytest
import torch

from landscape.methods import METHODS
from landscape.training.passes import nests, passes_per_step


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        *[("sgd", 1), ("adamw", 1), ("sam", 2), ("lookbehind", 4), ("lets", 3), ("msam", 2)],
        *[("aace", 2), ("multistep-sam", 3), ("lets+asam", 3), ("lookbehind+msam", 4)],
        *[("friendly-sam", 2), ("gsam", 2), ("looksam", 1.2), ("wsam", 2), ("sam-on", 2)],
        *[("gsam+aace", 3), ("looksam+aace", 1.4), ("lookahead+looksam", 1.2)],
    ],
)
def test_counted(name, passes):
    assert passes_per_step(name) == passes


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_counted(name):
    state = torch.get_rng_state()
    assert passes_per_step(name) >= 1
    assert torch.equal(state, torch.get_rng_state())


def test_what_nests():
    assert nests("sam") == []
    assert {"sam", "asam", "msam"} <= set(nests("lookbehind"))
    assert "lookbehind" in nests("lets") and "lookbehind" not in nests("lookbehind")
