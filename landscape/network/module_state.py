"""State that modules keep in plain attributes: hidden states, queues, counters, caches, generators.

Parameters and buffers have mechanisms of their own (`weights.py`, `isolation.py`). `Held` notices
where a model has become another one.
"""

import copy
import pickle
import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from operator import is_
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

BOOKKEEPING = frozenset(vars(nn.Module())) | {"forward"}  # torch's own attributes of a module
ATOMS = frozenset({int, float, bool, complex, str, bytes, type(None), torch.dtype, torch.device})
LISTS = (list, set, frozenset, tuple, deque)
MAPPINGS = (dict, OrderedDict, defaultdict, Counter)
GENERATORS = (random.Random, np.random.RandomState, np.random.Generator, np.random.BitGenerator)
LIBRARIES = sys.stdlib_module_names | {"torch", "numpy"}
DEPTH = 2  # plain objects in attributes, and plain objects in those

Attributes = dict[str, Any]
ModuleState = list[tuple[Attributes, Attributes]]  # where attributes live, what they hold


def modules_in(model: nn.Module) -> list[nn.Module]:
    """All modules of a model, each once: `modules()` in a fifth of its time, in another order."""
    modules, seen = [model], {model}
    for module in modules:  # it grows
        for child in module._modules.values():
            if child is not None and child not in seen:
                seen.add(child)
                modules.append(child)
    return modules


def references(model: nn.Module, beside: Any = None) -> ModuleState:
    """The attributes of all modules, and of the plain objects in them and `beside`, as they are."""
    held = [(vars(module), plain_attributes(vars(module))) for module in modules_in(model)]
    places = {id(attributes) for attributes, _ in held}
    level = [{"beside": beside}, *(values for _, values in held)]
    for _ in range(DEPTH):
        inner = {
            id(vars(thing)): vars(thing)
            for values in level
            for value in values.values()
            if type(value) not in ATOMS
            for thing in _objects(value)
        }
        new = [
            (there, plain_attributes(there)) for key, there in inner.items() if key not in places
        ]
        places.update(inner)
        held += new
        level = [values for _, values in new]
    return held


def module_state(model: nn.Module, beside: Any = None) -> ModuleState:
    """A copy of the attributes, which what the model does later leaves as they are."""
    memo: dict[int, Any] = {}
    return [(where, _copied_all(held, memo)) for where, held in references(model, beside)]


def put(state: ModuleState) -> None:
    """Give the modules copies of what a state holds, and take away attributes that are new."""
    memo: dict[int, Any] = {}
    for attributes, held in state:
        _replace(attributes, _copied_all(held, memo))


def put_back(state: ModuleState) -> None:
    """Give the modules what a state holds itself."""
    for attributes, held in state:
        _replace(attributes, held)


def copied(value: Any, memo: dict[int, Any]) -> Any:
    """A copy of tensors, arrays, generators and of containers of them; anything else as it is.

    Parameters stay themselves: they are substituted where modules hold them. A tensor with a
    graph keeps it, so that a pass which reads stale weights is noticed.
    memo: what was copied already, by id; shared values stay shared.
    """
    kind = type(value)
    if kind in ATOMS or isinstance(value, nn.Parameter | nn.Module):
        return value
    if id(value) not in memo:
        memo[id(value)] = _copy(value, kind, memo)
    return memo[id(value)]


def same(a: Any, b: Any) -> bool:
    """Tell whether two copies of a state hold the same: tensors and arrays bit for bit."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, MAPPINGS):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, GENERATORS):
        return pickle.dumps(a) == pickle.dumps(b)
    if isinstance(a, torch.Generator):
        return torch.equal(a.get_state(), b.get_state())
    return type(a) in ATOMS | {set, frozenset} and bool(a == b)


def _copy(value: Any, kind: type, memo: dict[int, Any]) -> Any:
    if isinstance(value, Tensor):
        if value.is_leaf:
            return value.detach().clone().requires_grad_(value.requires_grad)
        with torch.enable_grad():
            return value.clone()
    if kind in MAPPINGS:
        mapping = memo[id(value)] = copy.copy(value)
        for key, item in value.items():
            mapping[key] = copied(item, memo)
        return mapping
    if kind is list or kind is deque:
        sequence = memo[id(value)] = copy.copy(value)
        for i, item in enumerate(value):
            sequence[i] = copied(item, memo)
        return sequence
    if kind is set:
        return set(value)
    if isinstance(value, tuple):
        items = [copied(item, memo) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return kind(*items) if hasattr(value, "_fields") else kind(items)
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, GENERATORS):
        return copy.deepcopy(value)
    return value.clone_state() if isinstance(value, torch.Generator) else value


def _copied_all(held: Attributes, memo: dict[int, Any]) -> Attributes:
    return {
        key: value if type(value) in ATOMS else copied(value, memo) for key, value in held.items()
    }


def _replace(attributes: Attributes, held: Mapping[str, Any]) -> None:
    for key in plain_attributes(attributes).keys() - held.keys():
        del attributes[key]
    attributes.update(held)


def plain_attributes(attributes: Attributes) -> Attributes:
    """Those that are not torch's own."""
    return {key: value for key, value in attributes.items() if key not in BOOKKEEPING}


def _objects(value: Any) -> Iterator[Any]:
    """Objects of a user's plain classes: the value itself, or those in a container."""
    kind = type(value)
    if kind in ATOMS:
        return
    if kind in MAPPINGS:
        for item in value.values():
            yield from _objects(item)
    elif kind in LISTS:
        for item in value:
            yield from _objects(item)
    elif not isinstance(value, nn.Module | type) and isinstance(
        getattr(value, "__dict__", None), dict
    ):
        library = kind.__module__.partition(".")[0]
        if library not in LIBRARIES or kind is SimpleNamespace:
            yield value


class Held:
    """The modules of a model and some of its parameters, which have to stay what they are.

    as_they_are: the parameters that passes do not copy.
    """

    def __init__(self, model: nn.Module, as_they_are: Iterable[Tensor]):
        self._model, self._modules = model, modules_in(model)
        self._parameters = [p for p in as_they_are if not p.is_inference()]  # those never change
        self._before = self._versions()

    def check(self) -> None:
        """Raise ValueError where a module was replaced, or a parameter changed."""
        modules = modules_in(self._model)
        same = len(modules) == len(self._modules) and all(map(is_, modules, self._modules))
        if same and self._versions() == self._before:
            return
        raise ValueError(
            f"The model is another one than when the objective was made: {self._difference(same)}. "
            "Make a new Objective of it."
        )

    def _versions(self) -> list[Any]:
        return [(p._version, p.data_ptr()) for p in self._parameters]

    def _difference(self, same: bool) -> str:
        if not same:
            return "modules were replaced, added or taken away"
        pairs = zip(self._parameters, self._versions(), self._before, strict=True)
        changed = {id(p) for p, now, before in pairs if now != before}
        names = [name for name, p in self._model.named_parameters() if id(p) in changed]
        return f"frozen parameters have changed, as {names[0]!r}" if names else "frozen parameters"
