"""Run a network through torch.compile in place: parameters, their names and hooks stay as they are.

Nothing wraps the network, so no state dict sees `_orig_mod.`; the compiler is loaded when the first
network asks for it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as modules

BACKEND = "inductor"


class CompiledNetwork:
    """A network and its compiled form, which calls run while `opened`.

    Every network has a code object of its own, since torch counts compilations by those, and
    compiles each size of batch anew. Random draws are those of eager kernels, so masks stay the
    same. On CUDA kernels are replayed as CUDA graphs.
    """

    def __init__(self, network: nn.Module):
        self.network = network
        device = next(network.parameters()).device
        self._compiled: Callable[..., Any] = torch.compile(
            _forward_of(network), backend=BACKEND, dynamic=False, options=_options(device)
        )

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While open, calls of the network run its compiled form."""
        if self.network.__dict__.get("_compiled_call_impl") is not None:  # the user's own
            yield
            return
        self.network._compiled_call_impl = self._call
        try:
            yield
        finally:
            del self.network._compiled_call_impl

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        with _without_hooks_of_ours():
            return self._compiled(*args, **kwargs)


def _options(device: torch.device) -> dict[str, Any] | None:
    """The options of the backend for a device."""
    if BACKEND != "inductor":
        return None
    return {"fallback_random": True, "triton.cudagraphs": device.type == "cuda"}


def _forward_of(network: nn.Module) -> Callable[..., Any]:
    """The network's call with its hooks, as a function with a code object of its own."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        return network._call_impl(*args, **kwargs)

    code = forward.__code__.replace()
    return FunctionType(code, globals(), "forward", None, forward.__closure__)


@contextmanager
def _without_hooks_of_ours() -> Iterator[None]:
    """While open, hooks on all modules that this package has set are not called: torch would
    compile again for each. Modules inside the network need none of them.
    """
    hooks: dict[int, Callable[..., Any]] = modules._global_forward_pre_hooks
    kept = dict(hooks)
    try:
        for key, hook in kept.items():
            if getattr(hook, "__module__", "").startswith("landscape."):
                del hooks[key]
        yield
    finally:
        hooks.clear()
        hooks.update(kept)
