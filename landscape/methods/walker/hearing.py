"""Modules outside the model that a pass runs: heard of before they first run, and left by a look
as they were.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from landscape.methods.walker.steady import Start, Steady, is_compiled
from landscape.network.isolation import (
    isolated_buffers,
    kept_modes,
    kept_module_state,
    named_buffers,
)
from landscape.network.module_state import modules_in

Roots = Sequence[tuple[nn.Module, Steady | None]]


class Hearing:
    """While open, `met` is called with a module outside the known ones before it first runs.

    roots: the model, then the modules outside that are known. met: gives the module's state then.
    Not beside a compiled model: torch compiles it again for a global hook. A class, because it is
    entered in every pass of training.
    """

    def __init__(self, roots: Roots, met: Callable[[nn.Module], Start]):
        self._met = met
        inside = [steady.inner if steady else set(modules_in(module)) for module, steady in roots]
        model, steady = roots[0]
        self._deaf = steady.compiled if steady else is_compiled([model, *inside[0]])
        self._inside, self._known = inside[0], {m for m, _ in roots}.union(*inside[1:])
        self._thread = threading.get_ident()

    def __enter__(self) -> None:
        if not self._deaf:
            self._handle = register_module_forward_pre_hook(self._hear)

    def __exit__(self, *_: object) -> None:
        if not self._deaf:
            self._handle.remove()

    def _hear(self, module: nn.Module, _: Any) -> None:
        if module in self._inside or module in self._known:
            return
        if threading.get_ident() == self._thread:
            self._known.update(modules_in(module))
            self._meet(module)

    def _meet(self, module: nn.Module) -> None:
        self._met(module)


class Look(Hearing):
    """While open, the modules of a look work from where the step's own pass started, and leave no
    trace; so do those that are first met in it.

    starts: of each root.
    """

    def __init__(self, roots: Roots, starts: Sequence[Start], met: Callable[[nn.Module], Start]):
        super().__init__(roots, met)
        self._stack: ExitStack | None = None  # where something is isolated
        rows = list(zip(roots, starts, strict=True))
        self._steady = [(m, known) for (m, known), start in rows if known and start is known.start]
        self._moving = [(m, s) for (m, known), s in rows if not known or s is not known.start]

    def __enter__(self) -> None:
        if self._moving:
            with ExitStack() as stack:
                for module, start in self._moving:
                    stack.enter_context(isolated(module, start))
                self._stack = stack.pop_all()
        super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        with self._stack or nullcontext():
            for module, steady in self._steady:
                steady.restore(module)

    def _meet(self, module: nn.Module) -> None:
        self._stack = self._stack or ExitStack()
        self._stack.enter_context(isolated(module, self._met(module)))


@contextmanager
def isolated(module: nn.Module, start: Start) -> Iterator[None]:
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
