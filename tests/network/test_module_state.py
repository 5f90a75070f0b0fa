"""State in plain attributes: every pass starts alike, and the user's objects come back."""

import random
from collections import Counter, defaultdict, deque, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from landscape.network.isolation import kept_module_state
from landscape.network.module_state import module_state, put

Pair = namedtuple("Pair", "h c")


@dataclass
class Layer:
    keys: torch.Tensor


class Cache:
    """An object that holds objects, as caches of keys and values do."""

    def __init__(self):
        self.layers, self.seen = [Layer(torch.zeros(2))], 0


class Replaced(nn.Module):
    """h ← h + x, a new tensor a pass."""

    def __init__(self):
        super().__init__()
        self.h = torch.zeros(2)

    def forward(self, x):
        self.h = self.h + x
        return self.h.clone()


class InPlace(Replaced):
    def forward(self, x):
        return self.h.add_(x).clone()


class Born(nn.Module):
    def forward(self, x):
        self.h = getattr(self, "h", torch.zeros(2)) + x
        return self.h


class Tuple(nn.Module):
    def __init__(self):
        super().__init__()
        self.state = Pair(torch.zeros(2), torch.zeros(2))

    def forward(self, x):
        self.state.h.add_(x)
        self.state = Pair(self.state.h, self.state.c + x)
        return self.state.h + self.state.c


class Containers(nn.Module):
    def __init__(self):
        super().__init__()
        self.queue, self.table = deque([torch.zeros(2)], maxlen=2), {"h": [torch.zeros(2)]}
        self.counts, self.more, self.calls = Counter(a=1), defaultdict(list), 0
        self.array = np.zeros(2)

    def forward(self, x):
        self.queue.append(self.queue[-1] + x)
        self.table["h"].append(self.table["h"][-1] + x)
        self.counts["a"] += 1
        self.more["new"].append(1)
        self.calls += 1
        self.array += 1
        numbers = self.counts["a"] + self.calls + len(self.more["new"]) + self.array.sum()
        return sum(self.queue) + sum(self.table["h"]) + float(numbers)


class Objects(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache, self.info = Cache(), SimpleNamespace(calls=torch.zeros(()))

    def forward(self, x):
        self.cache.layers[0].keys = self.cache.layers[0].keys + x
        self.cache.layers.append(Layer(x))
        self.cache.seen += 1
        self.info.calls += 1
        return (
            self.cache.layers[0].keys + self.cache.seen + len(self.cache.layers) + self.info.calls
        )


class Generators(nn.Module):
    def __init__(self):
        super().__init__()
        self.numpy, self.old = np.random.default_rng(0), np.random.RandomState(0)
        self.python, self.torch = random.Random(0), torch.Generator().manual_seed(0)

    def forward(self, x):
        noise = self.numpy.random() + self.old.rand() + self.python.random()
        return x + noise + torch.rand(2, generator=self.torch)


KINDS = (Replaced, InPlace, Born, Tuple, Containers, Objects, Generators)


@pytest.mark.parametrize("kind", KINDS)
def test_every_pass_starts_alike_and_leaves_no_trace(kind):
    torch.manual_seed(0)
    fresh, x = nn.Sequential(kind()), torch.ones(2)
    expected = [fresh(x), fresh(x)]  # what the second pass of a plain loop answers, too
    model = nn.Sequential(kind())
    start = module_state(model)
    with kept_module_state(model, start):
        answers = [model(x)]
        put(start)
        answers += [model(x), model(x)]
    for answer, wanted in zip(answers, (expected[0], *expected), strict=True):
        assert torch.equal(answer, wanted)
    assert not torch.equal(*expected)
    assert torch.equal(model(x), expected[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_snapshot_does_not_follow_the_model(kind):
    model, x = nn.Sequential(kind()), torch.ones(2)
    start = module_state(model)
    expected = model(x)
    second = nn.Sequential(kind())
    second(x)
    with kept_module_state(model, start):
        assert torch.equal(model(x), expected)
    assert torch.equal(model(x), second(x))


def test_the_users_own_objects_come_back_also_on_an_error():
    model = Containers()
    kept = dict(vars(model))
    with pytest.raises(ZeroDivisionError), kept_module_state(model):
        model(torch.ones(2))
        model.born = 1
        del model.array
        raise ZeroDivisionError
    assert vars(model).keys() == kept.keys()
    assert all(vars(model)[key] is value for key, value in kept.items())
    assert len(model.queue) == 1 and model.counts == Counter(a=1)


def test_parameters_modules_and_shared_values_stay_what_they_are():
    model = nn.LSTM(2, 2)
    model.list = [model.weight_ih_l0, nn.Linear(2, 2)]
    model.one = model.other = torch.zeros(2)
    weights, (parameter, module) = model._flat_weights, model.list
    with kept_module_state(model):
        assert model.list[0] is parameter and model.list[1] is module
        assert model.one is model.other
        model(torch.zeros(1, 1, 2))
    assert model._flat_weights is weights
