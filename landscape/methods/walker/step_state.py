"""State that modules carry from pass to pass: every pass of a step starts from the same.

Running statistics, queues, hidden states, counters, a teacher's weights: after a step they are what
the step's own pass made of them, and each look starts from where that pass started. It also holds
for modules outside the model that the loss runs: a teacher, a discriminator, a projection head.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from weakref import WeakSet

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from landscape.network.isolation import isolated_buffers, kept_modes, kept_module_state, snapshot
from landscape.network.module_state import ModuleState, module_state


class Start(NamedTuple):
    """State from which passes start: buffers by name, plain attributes, frozen parameters."""

    buffers: dict[str, Tensor]
    attributes: ModuleState
    frozen: list[tuple[nn.Parameter, Tensor]]


class StepState:
    """The state of a model, and of the modules outside it that its passes run.

    Frozen parameters may be moved by a pass, as a teacher's are; more than twice as many as the
    trainable ones count as constants: copies would cost more than the pass.
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self._limit = 2 * sum(p.numel() for p in model.parameters() if p.requires_grad)
        self._outside: WeakSet[nn.Module] = WeakSet()
        self.forget()

    def forget(self) -> None:
        """Let the next look start from how things are then."""
        self._starts: dict[nn.Module, Start] = {}

    @contextmanager
    def own(self) -> Iterator[None]:
        """Open the modules for the step's own pass, which moves their state."""
        self._starts = {module: self._start(module) for module in self._roots()}

        def met(module: nn.Module) -> None:
            self._starts[module] = self._start(module)

        with self._hearing(met):
            yield

    @contextmanager
    def look(self) -> Iterator[None]:
        """Open the modules for a pass that leaves no trace."""
        with ExitStack() as stack:

            def met(module: nn.Module) -> None:
                stack.enter_context(_isolated(module, self._start(module)))

            for module in self._roots():
                stack.enter_context(
                    _isolated(module, self._starts.get(module) or self._start(module))
                )
            with self._hearing(met):
                yield

    def _roots(self) -> list[nn.Module]:
        return [self.model, *self._outside]

    @contextmanager
    def _hearing(self, met: Any) -> Iterator[None]:
        """While open, `met` is called with a module outside the known ones before it first runs.

        Not beside a compiled model: torch compiles it again for a global hook.
        """
        if any(hasattr(module, "_orig_mod") for module in self.model.modules()):
            yield
            return
        known = {id(module) for root in self._roots() for module in root.modules()}
        thread = threading.get_ident()

        def hear(module: nn.Module, _: Any) -> None:
            if id(module) not in known and threading.get_ident() == thread:
                known.update(map(id, module.modules()))
                self._outside.add(module)
                met(module)

        handle = register_module_forward_pre_hook(hear)
        try:
            yield
        finally:
            handle.remove()

    def _start(self, module: nn.Module) -> Start:
        frozen = [p for p in module.parameters() if not p.requires_grad]
        if sum(p.numel() for p in frozen) > self._limit:
            frozen = []
        copies = [(p, p.detach().clone()) for p in frozen]
        return Start(snapshot(module), module_state(module), copies)


@contextmanager
def _isolated(module: nn.Module, start: Start) -> Iterator[None]:
    """While open, the module works on copies of its state that begin at `start`."""
    kept = [(p, p.data) for p, _ in start.frozen]
    buffers = {**_buffers(module), **start.buffers}  # one may be newer than the start
    with (
        kept_modes(module),
        isolated_buffers(module, buffers),
        kept_module_state(module, start.attributes),
    ):
        try:
            for p, value in start.frozen:
                p.data = value.clone()
            yield
        finally:
            for p, value in kept:
                p.data = value


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    return {
        f"{prefix}.{key}": b
        for prefix, inner in module.named_modules()
        for key, b in inner._buffers.items()
        if b is not None
    }
