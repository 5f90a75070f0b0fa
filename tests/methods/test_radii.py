"""The radius that a nesting is said to use is the length of the perturbations that it makes."""

from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import forward_ad

from landscape.methods import METHODS, make, options
from landscape.methods.ascent import Ascent
from landscape.methods.radii import describe, in_force
from landscape.methods.requirements import nested
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch

OUTER = [name for name, kind in METHODS.items() if "over" in {f.name for f in fields(kind)}]
OWN = {name: 0.01 * i for i, name in enumerate(METHODS, 3)}  # all different


def nests(name):
    try:
        make(name)
    except ValueError:
        return False
    return True


PAIRS = [f"{outer}+{inner}" for outer in OUTER for inner in METHODS if nests(f"{outer}+{inner}")]
DEEP = ["lets+lookbehind+msam+asam", "fam+lets+asam", "lookahead+msam+aace", "lookbehind+msam+sam"]
NAMES = [*METHODS, *PAIRS, *DEEP]


def primal(t):
    return forward_ad.unpack_dual(t).primal if isinstance(t, torch.Tensor) else torch.tensor(t)


def lengths(name, settings, monkeypatch):
    """Lengths, in units of the innermost climb's ball, of the climbs of one step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3)).double()
    loss = lambda model, batch: F.cross_entropy(model(batch.x), batch.y)  # noqa: E731
    walker = Walker(model, torch.optim.SGD(model.parameters(), lr=0.1), loss)
    x, y = torch.randn(8, 4, dtype=torch.float64), torch.arange(8) % 3
    walker.feed([Batch(x.flip(0), y)] * 2, iter([Batch(x.roll(1, 0), y)] * 4))
    method = make(name, settings)
    climbs = [m for m in nested(method) if isinstance(m, Ascent)] or [Ascent()]
    kind, found = type(climbs[-1]), []
    if kind is METHODS["msam"]:  # alone: it climbs as SAM does
        kind = Ascent
    plain = kind.climb

    def climb(self, walker, g, w, rho):
        e = plain(self, walker, g, w, rho)
        step, g, w = primal(e), primal(g), primal(w)
        t = torch.ones_like(w)
        if climbs[-1].ball == "‖e/T‖":
            for parameter, entries in walker.layers.items():
                if parameter.endswith("weight"):
                    t[entries] = w[entries].abs() + 0.01
        found.append((step / t).norm() / (g.norm() if "/‖" in climbs[-1].ball else 1.0))
        return e

    monkeypatch.setattr(kind, "climb", climb)
    walker.begin(8)
    method.step(walker, Batch(x, y))
    return found


@pytest.mark.thinned(2)
@pytest.mark.parametrize("own", [False, True], ids=["defaults", "own"])
@pytest.mark.parametrize("name", NAMES)
def test_each_climb_is_as_long_as_is_said(name, own, monkeypatch):
    """With every radius at its default, and with a different one for every method."""
    parts = name.split("+")
    radii = {part: {"rho": OWN[part]} for part in parts if "rho" in options(part)}
    settings = radii if own else {}
    said = [radius for radius in in_force(name, settings) if radius.value is not None]
    found = lengths(name, settings, monkeypatch)
    assert bool(found) == bool(said)
    for length in found:
        assert length.item() == pytest.approx(said[-1].value, rel=1e-9)
        assert length.item() == pytest.approx(said[0].value, rel=1e-9)


def test_a_split_radius_is_that_of_all_climbs(monkeypatch):
    settings = {"multistep-sam": {"rho": 0.3, "k": 3, "split": True}}
    assert describe("multistep-sam", settings) == ("‖e‖ = 0.3 in 3 climbs of 0.1, of multistep-sam")
    found = lengths("multistep-sam", settings, monkeypatch)
    assert [length.item() for length in found] == pytest.approx([0.1] * 3)


def test_words():
    said = {name: describe(name) for name in ("sgd", "fam", "lookahead", "sam", "aace")}
    assert said == {
        "sgd": "none", "fam": "none", "lookahead": "none", "sam": "‖e‖ = 0.05, of sam",
        "aace": "‖e‖/‖a‖ = 0.2, of aace",
    }  # fmt: skip
    assert describe("lookbehind") == "‖e‖ = 0.05, of sam"
    assert describe("lookbehind+asam") == "‖e/T‖ = 0.5, of asam"
    assert describe("lets+lookbehind+asam") == "‖e/T‖ = 0.5 at the start, of asam"
    assert describe("lookbehind+asam", {"lookbehind": {"rho": 0.05}}) == (
        "‖e/T‖ = 0.05, of lookbehind; asam.rho = 0.5 is not used"
    )
    assert describe("sam", {"sam": {"normalize": False}}) == "‖e‖/‖g‖ = 0.05, of sam"
    assert describe("looksam") == "‖e‖ = 0.1, of looksam"
    assert describe("sam-on+asam") == "‖e/T‖ = 0.5, of asam"
    assert describe("msam+asam") == "‖e/T‖ = 0.5, of asam"
    assert describe("fam+sam", {"sam": {"rho": 0.0}}) == "‖e‖ = 0, of sam"
