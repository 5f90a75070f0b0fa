"""Models that keep no state at first, and begin to later."""

import gc
import weakref
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


def eval_mode(model):
    model.head.eval()


@pytest.mark.parametrize("write", [attribute, in_container, eval_mode])
@pytest.mark.parametrize("method", ["sam", "lookbehind"])
def test_what_a_look_alone_writes_is_gone_after_it(write, method, batches):
    model, passes = nn.Sequential(OrderedDict(head=nn.Linear(6, 3).double())), []
    sgd, start = torch.optim.SGD(model.parameters(), lr=0.1), kept(model)

    def loss(model, batch):
        assert model.head.training
        assert kept(model) == start
        passes.append(batch)
        if passes.count(batch) > 1:  # each step has a batch of its own, and its own pass first
            write(model)
        return cross_entropy(model, batch)

    stepper = optim.wrap(method, model, sgd, loss)
    for batch in batches(3):
        stepper.step(batch)
        assert model.head.training
        assert kept(model) == start
    assert len(passes) > 5


def test_what_makes_a_model_keep_state():
    """Each of these is copied before a pass; a plain network is not."""
    for change in (
        lambda m: setattr(m[0], "queue", []),
        lambda m: setattr(m[0], "h", torch.zeros(1)),
        lambda m: m[0].register_buffer("mean", torch.zeros(1)),
        lambda m: m[0].requires_grad_(False),
        lambda m: m.append(nn.BatchNorm1d(2)),
    ):
        model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        state = StepState(model, F.cross_entropy)
        first = state._start(model)
        assert state._start(model) is first
        change(model)
        assert state._start(model) is not first
        assert state._start(model) is not state._start(model)


def test_a_criterion_outside_is_copied_only_once_it_keeps_state(batches):
    """Weights of classes are a buffer: None keeps nothing, a tensor is copied in each step."""
    criterion, model = nn.CrossEntropyLoss(), nn.Linear(6, 3).double()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    stepper = optim.wrap("sam", model, sgd, lambda m, b: criterion(m(b.x), b.y))
    state = stepper.walker._passes.state
    batch = next(iter(batches(1)))
    stepper.step(batch)
    stepper.step(batch)
    assert state._start(criterion) is state._start(criterion)
    criterion.weight = torch.ones(3, dtype=torch.float64)
    stepper.step(batch)
    assert state._start(criterion) is not state._start(criterion)


def test_modules_outside_are_not_kept_alive(batches):
    model = nn.Linear(6, 3).double()
    sgd, held = torch.optim.SGD(model.parameters(), lr=0.1), [nn.CrossEntropyLoss()]
    stepper = optim.wrap("sam", model, sgd, lambda m, b: held[0](m(b.x), b.y))
    for batch in batches(3):
        stepper.step(batch)
    gone = weakref.ref(held[0])
    assert gone() in stepper.walker._passes.state._steady
    held[0] = nn.NLLLoss()
    stepper.step(batch)
    stepper.step(batch)
    gc.collect()
    assert gone() is None
