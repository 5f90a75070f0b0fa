"""Every method by name, on a walker that checks each look and remembers each pass."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.methods import METHODS, make
from landscape.methods.walker.walker import Walker
from landscape.optim import Stepper

NESTED = ("lets+lookbehind", "lookbehind+msam", "msam+aace", "lookahead+sam", "gsam+friendly-sam")

SETTINGS = {"sam-on": {"no_norm": True}}  # small networks have no normalisation: it perturbs all


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture(params=[*METHODS, *NESTED])
def name(request):
    """Each registered method, and some pairs; all of them are in test_pairs."""
    return request.param


def traces(model):
    """All that a look must leave as it was, by value; the parameters as objects too."""
    tensors = [t.clone() for t in (*model.parameters(), *model.buffers())]
    modes = [m.training for m in model.modules()]
    return [id(p) for p in model.parameters()], modes, [*tensors, torch.get_rng_state()]


class Watched(Walker):
    """Asserts R1 and R2 of every look; keeps points, and what was returned beside a copy of it."""

    def __init__(self, *arguments, **options):
        self.points, self.returned, self.descents, self.own = [], [], [], []
        super().__init__(*arguments, **options)

    @property
    def w(self):
        return self._remember(super().w)

    def value_and_grad(self, batch, at=None, loss=None):
        before = traces(self.model)
        try:
            value, g = super().value_and_grad(batch, at, loss)
        finally:
            if at is not None:
                after = traces(self.model)
                assert before[:2] == after[:2]
                assert all(map(torch.equal, before[2], after[2]))
        (self.own if at is None else self.points).append(g if at is None else at.clone())
        self._remember(value)
        return value, self._remember(g)

    def descend(self, g):
        self.descents.append((super().w, g.clone()))
        super().descend(g)

    def _remember(self, t):
        self.returned.append((t, t.clone()))
        return t


@pytest.fixture
def watched_walker(small_net):
    """A watched walker on `small_net`, with SGD (AdamW for adamw)."""

    def make_walker(
        name="sam", model=None, loss=cross_entropy, momentum=0.9, wd=5e-4, net=None, **options
    ):
        model = small_net(**(net or {})) if model is None else model
        if name == "adamw":
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=wd)
        else:
            trainable = [p for p in model.parameters() if p.requires_grad]
            optimizer = torch.optim.SGD(trainable, lr=0.1, momentum=momentum, weight_decay=wd)
        return Watched(model, optimizer, loss, **options)

    return make_walker


@pytest.fixture
def stepper(watched_walker, batches):
    """A stepper of a method by name, with held-out data, on a watched walker."""

    def make_stepper(name, settings=None, held_out=None, **walker):
        held_out = batches(3, seed=99) if held_out is None else held_out
        settings = {
            key: SETTINGS.get(key, {}) | (settings or {}).get(key, {})
            for key in (settings or {}) | SETTINGS
        }
        return Stepper(make(name, settings), watched_walker(name, **walker), held_out, None)

    return make_stepper


@pytest.fixture
def trained(stepper):
    """The weights after one step on each batch."""

    def train(name, settings, steps, **options):
        ours = stepper(name, settings, **options)
        for batch in steps:
            ours.step(batch)
        return ours.walker.w

    return train


@pytest.fixture
def linear_point():
    """A bare vector called `weight`, which ASAM scales."""

    def make_module(start):
        module = nn.Module()
        module.weight = nn.Parameter(torch.tensor(start, dtype=torch.float64))
        return module

    return make_module
