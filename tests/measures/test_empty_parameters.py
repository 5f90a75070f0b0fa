"""Parameters without entries: an empty tensor has no filters and changes no answer."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import landscape as ls
from landscape.measures import MEASURES
from landscape.methods import make

SETTINGS = {
    "noise": [{"draws": 2, "sigmas": (0.05,), "scale": s} for s in ("max", "rms", "filter")],
    "quantization": [{}],
    "pruning": [{"fractions": (0.5,), "scope": scope} for scope in ("global", "layer")],
    "worst_case": [{"radii": (0.1,), "steps": 1, "biases": b} for b in (False, True)],
    "surface": [{"size": 3}],
    "profile": [{"lines": 2, "size": 3}],
    "relative_flatness": [{}],
    "trace": [{"max_hvps": 24}],
}
SHAPES = ((0,), (0, 3), (3, 0), (2, 0, 3))


class Net(nn.Module):
    """A network with an empty parameter, or with an empty layer that the pass calls last."""

    def __init__(self, shape=None, layer=None):
        super().__init__()
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch: initialising an empty tensor does nothing
            torch.manual_seed(0)
            self.hidden, self.head = nn.Linear(5, 4), nn.Linear(4, 3)
            self.empty = None if layer is None else nn.Linear(*layer)
        self.none = None if shape is None else nn.Parameter(torch.zeros(shape))
        self.double()

    def forward(self, x):
        z = self.head(self.hidden(x).tanh())
        if self.none is not None:
            z = z + self.none.sum()
        if self.empty is None:
            return z
        y = self.empty(x[:, : self.empty.in_features])
        return z + y if y.shape == z.shape else torch.cat([z, y], -1)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 5, dtype=torch.float64, generator=generator)
    return x, torch.randint(3, (12,), generator=generator)


def numbers(record):
    """The numbers that a measure found."""
    names = ("loss", "value", "accuracy", "d1_ratios")
    return {name: getattr(record, name) for name in names if hasattr(record, name)}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_empty_parameter_changes_no_number(name, batch):
    for settings in SETTINGS[name]:
        plain, *others = (
            numbers(MEASURES[name](**settings)(ls.Objective(Net(shape), [batch], cross_entropy)))
            for shape in (None, *SHAPES)
        )
        assert plain
        for other in others:
            for key, value in plain.items():
                np.testing.assert_array_equal(other[key], value)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("layer", [(0, 3), (3, 0)])
def test_measures_of_a_network_with_an_empty_layer(name, layer, batch):
    for settings in SETTINGS[name]:
        objective = ls.Objective(Net(layer=layer), [batch], cross_entropy)
        found = numbers(MEASURES[name](**settings)(objective))
        assert all(np.isfinite(value).all() for value in found.values())


def test_flatness_is_that_of_the_last_layer_with_weights(batch):
    measure = ls.measures.RelativeFlatness
    plain = measure()(ls.Objective(Net(), [batch], cross_entropy))
    empty = ls.Objective(Net(layer=(0, 3)), [batch], cross_entropy)
    empty.model.empty.bias.data.zero_()
    empty = ls.Objective(empty.model, [batch], cross_entropy)
    assert measure()(empty).value == pytest.approx(plain.value, rel=1e-12)
    with pytest.raises(ValueError, match=r"needs a layer with weights.* Got 'empty'"):
        measure(layer="empty")(empty)


@pytest.mark.parametrize("name", ["fam", "sam", "asam"])
@pytest.mark.parametrize("layer", [(0, 3), (3, 0)])
def test_steps_of_a_network_with_an_empty_layer(name, layer, batch):
    net = Net(layer=layer)
    stepper = ls.optim.wrap(name, net, torch.optim.SGD(net.parameters(), lr=0.1), cross_entropy)
    assert stepper.step(batch) > stepper.step(batch)
    if name == "fam":
        assert stepper.method.chosen == "head"


def test_fam_refuses_an_empty_layer_by_name(batch):
    net = Net(layer=(0, 3))
    base = torch.optim.SGD(net.parameters(), lr=0.1)
    stepper = ls.optim.wrap(make("fam", {"fam": {"layer": "empty"}}), net, base, cross_entropy)
    with pytest.raises(ValueError, match=r"needs a layer with weights.* Got 'empty'"):
        stepper.step(batch)
