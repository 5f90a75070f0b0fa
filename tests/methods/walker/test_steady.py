"""Models that keep no state at first, and begin to later."""

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import optim
from landscape.methods.walker.step_state import StepState
from landscape.network import module_state


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def attribute(model):
    model.head.count = getattr(model.head, "count", 0) + 1


def in_container(model):
    model.head.seen = [*getattr(model.head, "seen", []), 1]


def kept(model):
    """What the head holds beside its weights."""
    return {k: v for k, v in vars(model.head).items() if k not in module_state.BOOKKEEPING}


@pytest.mark.parametrize("write", [attribute, in_container])
@pytest.mark.parametrize("late", [0, 2])
def test_a_look_starts_from_where_the_pass_at_w_started(write, late, batches):
    model, seen = nn.Sequential(OrderedDict(head=nn.Linear(6, 3).double())), []
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    step = -1

    def loss(model, batch):
        seen.append(kept(model))
        if step >= late:
            write(model)
        return cross_entropy(model, batch)

    stepper = optim.wrap("sam", model, sgd, loss)
    for step, batch in enumerate(batches(late + 1)):  # noqa: B007
        stepper.step(batch)
    assert seen[-1] == seen[-2]
    assert kept(model) != seen[-1]


def test_what_makes_a_model_keep_state():
    """Each of these is copied before a pass; a plain network is not."""
    state = StepState(plain := nn.Sequential(nn.Linear(2, 2), nn.Tanh()), F.cross_entropy)
    state._start(plain)
    assert state._steady_start() is not None
    for change in (
        lambda m: setattr(m[0], "queue", []),
        lambda m: setattr(m[0], "h", torch.zeros(1)),
        lambda m: m[0].register_buffer("mean", torch.zeros(1)),
        lambda m: m[0].requires_grad_(False),
        lambda m: m.append(nn.BatchNorm1d(2)),
    ):
        model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        state = StepState(model, F.cross_entropy)
        state._start(model)
        assert state._steady_start() is not None
        change(model)
        assert state._steady_start() is None
        state._start(model)
        assert state._steady_start() is None
