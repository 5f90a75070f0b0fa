"""FAM counts what its products cost: against the floating-point operations that torch counts."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from landscape.methods import FAM, SAM, SGD
from landscape.network.batch import Batch
from landscape.optim import wrap

WIDTH, DEPTH = 24, 20


class Deep(nn.Module):
    """Layers of one width; a tied head has the first one's weight."""

    def __init__(self, tied):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH))
        if tied:
            self.layers[-1].weight = self.layers[0].weight

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).tanh()
        return self.layers[-1](x)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def squared(model, batch):
    return F.mse_loss(model(batch.x), F.one_hot(batch.y, WIDTH).double())


def stepped(method, tied=False, loss=cross_entropy, micro=1):
    """Operations of the second step, and what the walker counted in it: passes, evaluations."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Deep(tied).double()
        x, y = torch.randn(64, WIDTH).double(), torch.randint(0, WIDTH, (64,))
    stepper = wrap(method, model, torch.optim.SGD(model.parameters(), lr=1e-3), loss)
    batch = Batch(x, y) if micro == 1 else Batch(x, y).shards(micro)
    stepper.step(batch)
    walker = stepper.walker
    walker.passes, walker.grad_evals = 0, 0.0
    with FlopCounterMode(display=False) as counter:
        stepper.step(batch)
    return counter.get_total_flops(), walker.passes, walker.grad_evals


SIGNS = {  # way by random signs: settings, products, and counted evaluations
    "a draw": ({}, 1, 4.0),
    "two draws": ({"draws": 2}, 2, 7.0),
    "frozen": ({"gradient": "frozen"}, 1, 2.0),
    "frozen, two draws": ({"gradient": "frozen", "draws": 2}, 2, 3.0),
}


@pytest.mark.parametrize("name", SIGNS)
def test_a_tied_head_counts_what_it_costs(name):
    settings, products, counted = SIGNS[name]
    plain, *_ = stepped(SGD(), tied=True)
    cost, passes, evaluations = stepped(FAM(**settings), tied=True)
    assert (passes, evaluations) == (1 + products, pytest.approx(counted))
    assert cost / plain == pytest.approx(counted, rel=0.1)


HIDDEN = {  # layer, settings, products: from the layer on or behind it, by its place in twenty
    "exact": ("layers.9", {}, WIDTH, 1 + 0.5 * (1 + 2 * WIDTH)),
    "exact, frozen": ("layers.9", {"gradient": "frozen"}, WIDTH, 1 + 0.5 * (1 + 2 * WIDTH) / 3),
    "signs": ("layers.9", {"draws": 1}, 1, 1 + 3 * 0.55),
    "signs, frozen": ("layers.9", {"draws": 2, "gradient": "frozen"}, 2, 1 + 2 * 0.55),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_hidden_layer_counts_the_part_from_it_on(name):
    layer, settings, products, counted = HIDDEN[name]
    plain, *_ = stepped(SGD())
    cost, passes, evaluations = stepped(FAM(layer=layer, **settings))
    assert (passes, evaluations) == (1 + products, pytest.approx(counted))
    assert cost / plain == pytest.approx(counted, rel=0.25)


@pytest.mark.parametrize("loss", [cross_entropy, squared])
def test_the_last_layer_adds_next_to_nothing(loss):
    """The closed form needs no product, and those at the output of the network are free."""
    plain, *_ = stepped(SGD(), loss=loss)
    cost, passes, evaluations = stepped(FAM(), loss=loss)
    assert (passes, evaluations) == (1 if loss is cross_entropy else 1 + WIDTH, 1.0)
    assert cost / plain < 1.5


def test_every_pass_of_the_method_inside_counts_its_products():
    _, passes, evaluations = stepped(FAM(over=SAM()), tied=True)
    assert (passes, evaluations) == (4, pytest.approx(8.0))


def test_micro_batches_count_as_their_part():
    _, passes, evaluations = stepped(FAM(), tied=True, micro=4)
    assert (passes, evaluations) == (8, pytest.approx(4.0))
