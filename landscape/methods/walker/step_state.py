"""State that modules carry from pass to pass: every pass of a step starts from the same.

Running statistics, queues, hidden states, counters, a teacher's weights: after a step they are what
the step's own pass made of them, and each look starts from where that pass started. It also holds
for modules outside the model that the loss runs: a teacher, a discriminator, a projection head.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from torch import nn

from landscape.methods.walker.hearing import Hearing, Look, Roots
from landscape.methods.walker.steady import Start, Steady, is_steady
from landscape.network.isolation import snapshot
from landscape.network.module_state import module_state, modules_in, same


class StepState:
    """The state of a model, of a loss that is an object, and of modules outside that passes run.

    Frozen parameters may be moved by a pass, as a teacher's are. Where they are more than twice as
    many as the trainable ones, those of other shapes count as constants, and then all: copies
    would cost more than the pass. A constant that moves is refused.
    """

    def __init__(self, model: nn.Module, loss: Any):
        self.model, self.loss = model, loss
        trainable = [p for p in model.parameters() if p.requires_grad]
        self._limit = 2 * sum(p.numel() for p in trainable)
        self._shapes = {p.shape for p in trainable}
        self._outside: WeakSet[nn.Module] = WeakSet()
        self._steady: WeakKeyDictionary[nn.Module, Steady] = WeakKeyDictionary()
        self.forget()

    def forget(self) -> None:
        """Let the next look start from how things are then."""
        self._starts: dict[nn.Module, Start] = {}

    def own(self) -> AbstractContextManager[None]:
        """Open the modules for the step's own pass, which moves their state."""
        roots = self._roots()
        self._starts = {m: steady.start if steady else self._start(m) for m, steady in roots}
        hearing = Hearing(roots, self._met)
        return hearing if all(steady for _, steady in roots) else self._watched(roots, hearing)

    def look(self, still: bool = False) -> AbstractContextManager[None]:
        """Open the modules for a pass that leaves no trace.

        still: raise RuntimeError where the pass moves the model's state.
        """
        roots = self._roots()
        starts = [self._starts.get(module) or self._start(module) for module, _ in roots]
        look = Look(roots, starts, self._met)
        return self._still(look) if still else look

    def _met(self, module: nn.Module) -> Start:
        """Take in a module outside that a pass is about to run: its state then."""
        self._outside.add(module)
        start = self._starts[module] = self._copied(module)
        return start

    @contextmanager
    def _watched(self, roots: Roots, hearing: Hearing) -> Iterator[None]:
        """While open, modules move their state, but for those frozen parameters that are taken for
        constants.
        """
        constants = self._constants([m for m, steady in roots if steady is None])
        with hearing:
            yield
        for name, p, version in constants:
            if p._version != version:
                raise ValueError(
                    f"The model moves its frozen `{name}` in a pass, beside too many frozen "
                    "parameters to start each pass alike. Move it after the step instead."
                )

    @contextmanager
    def _still(self, look: Look) -> Iterator[None]:
        with look:
            before = self._start(self.model)
            yield
            if self._moved(before):
                raise RuntimeError("the model keeps state in its passes")

    def _moved(self, before: Start) -> bool:
        now = self._start(self.model)
        return not (
            same(before.buffers, now.buffers)
            and same([held for _, held in before.attributes], [held for _, held in now.attributes])
            and same([t for _, t in before.frozen], [t for _, t in now.frozen])
        )

    def _roots(self) -> list[tuple[nn.Module, Steady | None]]:
        """The model, and the modules outside; with what is known of one that keeps no state, and
        holds only what it held.
        """
        kept = [(module, self._steady.get(module)) for module in (self.model, *self._outside)]
        return [(m, steady if steady and steady.unchanged(m) else None) for m, steady in kept]

    def _constants(self, roots: list[nn.Module]) -> list[tuple[str, nn.Parameter, int]]:
        """The frozen parameters of which no copies are kept, by name, with their versions."""
        if not any(map(_frozen, roots)):
            return []
        kept = {id(p) for start in self._starts.values() for p, _ in start.frozen}
        return [
            (name, p, p._version)
            for module in roots
            for name, p in module.named_parameters()
            if not p.requires_grad and id(p) not in kept
        ]

    def _start(self, module: nn.Module) -> Start:
        """The state of a module: that of earlier while it holds only what it held then, and that
        kept no state; else a copy.
        """
        steady = self._steady.get(module)
        if steady is not None and steady.unchanged(module):
            return steady.start
        start = self._copied(module)
        self._steady.pop(module, None)
        if is_steady(module, start.attributes):
            self._steady[module] = Steady(module, start)
        return start

    def _copied(self, module: nn.Module) -> Start:
        frozen = _frozen(module)
        if sum(p.numel() for p in frozen) > self._limit:
            frozen = [p for p in frozen if p.shape in self._shapes]
        if sum(p.numel() for p in frozen) > self._limit:
            frozen = []
        copies = [(p, p.detach().clone()) for p in frozen]
        beside = self.loss if module is self.model else None
        return Start(snapshot(module), module_state(module, beside), copies)


def _frozen(module: nn.Module) -> list[nn.Parameter]:
    """The parameters without a gradient, each once."""
    parameters = {
        id(p): p
        for inner in modules_in(module)
        for p in inner._parameters.values()
        if p is not None and not p.requires_grad
    }
    return list(parameters.values())
