"""State that modules carry from pass to pass: every pass of a step starts from the same.

Running statistics, queues, hidden states, counters, a teacher's weights: after a step they are what
the step's own pass made of them, and each look starts from where that pass started. It also holds
for modules outside the model that the loss runs: a teacher, a discriminator, a projection head.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from landscape.methods.walker.steady import Start, Steady, is_steady
from landscape.network.isolation import (
    isolated_buffers,
    kept_modes,
    kept_module_state,
    named_buffers,
    snapshot,
)
from landscape.network.module_state import module_state, modules_in, same

Roots = Sequence[tuple[nn.Module, Steady | None]]


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

    @contextmanager
    def own(self) -> Iterator[None]:
        """Open the modules for the step's own pass, which moves their state."""
        roots = self._roots()
        self._starts = {m: steady.start if steady else self._start(m) for m, steady in roots}

        def met(module: nn.Module) -> None:
            self._starts[module] = self._copied(module)

        constants = self._constants([m for m, steady in roots if steady is None])
        with self._hearing(roots, met):
            yield
        for name, p, version in constants:
            if p._version != version:
                raise ValueError(
                    f"The model moves its frozen `{name}` in a pass, beside too many frozen "
                    "parameters to start each pass alike. Move it after the step instead."
                )

    @contextmanager
    def look(self, still: bool = False) -> Iterator[None]:
        """Open the modules for a pass that leaves no trace.

        still: raise RuntimeError where the pass moves the model's state, or a module outside runs.
        """
        with ExitStack() as stack:

            def met(module: nn.Module) -> None:
                stack.enter_context(_isolated(module, self._copied(module)))

            roots = self._roots()
            for module, steady in roots:
                start = self._starts.get(module) or self._start(module)
                if steady and start is steady.start:
                    stack.callback(steady.restore, module)
                else:
                    stack.enter_context(_isolated(module, start))
            before = self._start(self.model) if still else None
            with self._hearing(roots, met):
                yield
            if before is not None and self._moved(before):
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

    @contextmanager
    def _hearing(self, roots: Roots, met: Callable[[nn.Module], None]) -> Iterator[None]:
        """While open, `met` is called with a module outside the known ones before it first runs.

        Not beside a compiled model: torch compiles it again for a global hook.
        """
        sets = [steady.inner if steady else set(modules_in(m)) for m, steady in roots]
        if any("_orig_mod" in module._modules for module in (self.model, *sets[0])):
            yield
            return
        inside, known = sets[0], {m for m, _ in roots}.union(*sets[1:])
        thread = threading.get_ident()

        def hear(module: nn.Module, _: Any) -> None:
            if module not in inside and module not in known and threading.get_ident() == thread:
                known.update(modules_in(module))
                self._outside.add(module)
                met(module)

        handle = register_module_forward_pre_hook(hear)
        try:
            yield
        finally:
            handle.remove()

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


@contextmanager
def _isolated(module: nn.Module, start: Start) -> Iterator[None]:
    """While open, the module works on copies of its state that begin at `start`."""
    kept = [(p, p.data) for p, _ in start.frozen]
    # a buffer may be newer than the start
    with (
        kept_modes(module),
        isolated_buffers(module, {**named_buffers(module), **start.buffers}),
        kept_module_state(module, start.attributes),
    ):
        try:
            for p, value in start.frozen:
                p.data = value.clone()
            yield
        finally:
            for p, value in kept:
                p.data = value


def _frozen(module: nn.Module) -> list[nn.Parameter]:
    """The parameters without a gradient, each once."""
    parameters = {
        id(p): p
        for inner in modules_in(module)
        for p in inner._parameters.values()
        if p is not None and not p.requires_grad
    }
    return list(parameters.values())
