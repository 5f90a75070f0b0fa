"""What leaves relative flatness as it was, on networks trained on real digits: each change below
keeps the function, bit by bit of rounding, and turns λ_max and the trace.
"""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Batch, Objective
from landscape.data.digits import load
from landscape.measures import Eigenvalues, RelativeFlatness

SAME = pytest.approx(1, rel=1e-9)
WIDTH = 12


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture(scope="module")
def digits():
    """600 training images, pooled to 4x4, in two unequal batches."""
    data = load()
    x = F.avg_pool2d(data.train_x[:600], 2).flatten(1).double()
    return [Batch(x[:500], data.train_y[:500]), Batch(x[500:], data.train_y[500:600])]


@pytest.fixture(scope="module")
def trained(digits):
    """A network with two hidden layers by its activation, after 250 steps; a fresh copy a call."""
    done = {}

    def train(activation):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(
                nn.Linear(16, WIDTH), activation(), nn.Linear(WIDTH, WIDTH), activation(),
                nn.Linear(WIDTH, 10),
            ).double()  # fmt: skip
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
        for _ in range(250):
            optimizer.zero_grad()
            cross_entropy(model, digits[0]).backward()
            optimizer.step()
        return model

    def make(activation=nn.ReLU):
        if activation not in done:
            done[activation] = train(activation)
        return copy.deepcopy(done[activation])

    return make


@pytest.fixture
def change(trained, digits):
    """Ratios after/before of κ, κ̂ and ‖W‖⁻² κ̂ = tr H, and the two objectives, of a change of the
    trained ReLU network.
    """

    def apply(edit, layer, **settings):
        old, new = trained(), trained()
        with torch.no_grad():
            edit(new)
            assert not torch.equal(new[4].weight, old[4].weight) or layer != "4"
            moved, stood = new(digits[0].x), old(digits[0].x)
        torch.testing.assert_close(moved.softmax(1), stood.softmax(1), rtol=1e-9, atol=1e-12)
        objectives = [Objective(model, digits, cross_entropy) for model in (old, new)]
        measure = RelativeFlatness(layer, **settings)
        before, after = (measure(objective) for objective in objectives)
        norms = [model.get_submodule(layer).weight.norm().item() for model in (old, new)]
        kappa, kappa_hat = after.value / before.value, after.simplified / before.simplified
        return kappa, kappa_hat, kappa_hat * (norms[0] / norms[1]) ** 2, objectives

    return apply


def layer_by_layer(c, first, second):
    """W → c W, what comes before it → 1/c."""

    def edit(model):
        model[second].weight *= c
        model[first].weight /= c
        model[first].bias /= c

    return edit


def neuron_by_neuron(first, second):
    """Each hidden neuron by a factor of its own, the column that reads it by the inverse."""
    c = torch.logspace(-0.7, 0.7, WIDTH, dtype=torch.float64)

    def edit(model):
        model[first].weight *= c[:, None]
        model[first].bias *= c
        model[second].weight /= c

    return edit


def test_they_are_trained(trained, digits):
    assert Objective(trained(), digits, cross_entropy).accuracy() > 0.9


@pytest.mark.thinned(3)
@pytest.mark.parametrize("c", [0.1, 3.7, 10.0])
@pytest.mark.parametrize(("first", "second"), [(2, 4), (0, 2)])
def test_scaling_layer_against_layer(change, first, second, c):
    """F3: κ and κ̂ stay, the trace changes by c⁻²; so does λ_max, of the whole network."""
    edit = layer_by_layer(c, first, second)
    kappa, kappa_hat, trace, objectives = change(edit, str(second))
    assert (kappa, kappa_hat) == (SAME, SAME)
    assert trace == pytest.approx(c**-2, rel=1e-9)
    old, new = (Eigenvalues(k=1)(objective).values[0] for objective in objectives)
    assert abs(np.log(new / old)) > 0.5


def test_scaling_single_output_neurons(change):
    """F4: κ of the layer stays, κ̂ and the trace do not."""
    kappa, kappa_hat, trace, _ = change(neuron_by_neuron(0, 2), "0")
    assert kappa == SAME
    assert abs(np.log(kappa_hat)) > 0.1
    assert abs(np.log(trace)) > 0.1


@pytest.mark.parametrize("layer", ["2", "4"])
def test_scaling_single_input_features(change, layer):
    """F5: neither stays; with normalised features both do."""
    edit = neuron_by_neuron(int(layer) - 2, int(layer))
    kappa, kappa_hat, _, _ = change(edit, layer)
    assert abs(np.log(kappa)) > 0.1
    assert abs(np.log(kappa_hat)) > 0.1
    kappa, kappa_hat, _, _ = change(edit, layer, normalize_features=True)
    assert (kappa, kappa_hat) == (SAME, SAME)


def test_normalised_features_keep_the_other_invariances(change):
    for edit, layer in ((layer_by_layer(3.7, 2, 4), "4"), (neuron_by_neuron(0, 2), "0")):
        assert change(edit, layer, normalize_features=True)[0] == SAME


def test_one_vector_added_to_all_rows_of_the_head(change):
    """F6: κ stays, κ̂ does not, the trace does: the function of the features is the same."""
    shift = torch.linspace(-1, 2, WIDTH, dtype=torch.float64)
    kappa, kappa_hat, trace, _ = change(lambda model: model[4].weight.add_(shift), "4")
    assert kappa == SAME
    assert kappa_hat > 1.1
    assert trace == SAME


@pytest.mark.parametrize("layer", ["0", "2", "4"])
def test_relu_and_cross_entropy_are_never_negative(trained, digits, layer):
    """F12: one layer's block is positive semi-definite."""
    assert RelativeFlatness(layer)(Objective(trained(), digits, cross_entropy)).value > 0


def test_a_trained_tanh_network_can_be_negative(trained, digits, flatness_by_definition):
    """F12: with other labels than it learned, κ of the first layer is below zero, as by definition;
    it is reported so, by the exact way and by signs.
    """
    batches = [Batch(b.x, (b.y + 1) % 10) for b in digits]
    objective = Objective(trained(nn.Tanh), batches, cross_entropy)
    record = RelativeFlatness("0")(objective)
    assert record.value < 0
    expected = flatness_by_definition(objective, "0")
    np.testing.assert_allclose([record.value, record.simplified], expected, rtol=1e-10)
    signs = RelativeFlatness("0", max_products=0, draws=30)(objective)
    assert abs(signs.value - record.value) < 4 * signs.stderr
    assert signs.value < 0
