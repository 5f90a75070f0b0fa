"""A look leaves no trace: buffers, train/eval modes and random state come back bit for bit, also
on an error (rule R1).
"""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrize

from landscape.network.module_state import (
    ModuleState,
    modules_in,
    plain_attributes,
    put,
    put_back,
    references,
)
from landscape.network.precision import float32_arithmetic


@contextmanager
def isolated_buffers(
    model: nn.Module, values: Mapping[str, Tensor] | None = None
) -> Iterator[Callable[[], None]]:
    """While open, the module moves clones of its buffers; afterwards the originals stand where
    they stood. Yields what puts fresh clones in the place of moved ones.

    values: what the clones start from, as `snapshot` gives it; default the buffers themselves.
    """
    kept = [(module, dict(module._buffers)) for module in modules_in(model) if module._buffers]
    places = [
        (module._buffers, key, b if values is None else values[f"{prefix}.{key}"])
        for prefix, module in (model.named_modules() if kept else ())
        for key, b in module._buffers.items()
        if b is not None
    ]

    def renew() -> None:
        clones: dict[int, Tensor] = {}  # shared buffers stay shared
        for buffers, key, start in places:
            if id(start) not in clones:
                clones[id(start)] = start.detach().clone()
            buffers[key] = clones[id(start)]

    try:
        renew()
        yield renew
    finally:
        for module, buffers in kept:
            module._buffers.clear()
            module._buffers.update(buffers)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Clones of all buffers, by the name of the module and of the buffer; shared buffers stay
    shared.
    """
    named = named_buffers(model)
    clones = {id(b): b.detach().clone() for b in named.values()}
    return {name: clones[id(b)] for name, b in named.items()}


def named_buffers(model: nn.Module) -> dict[str, Tensor]:
    """All buffers, by the name of the module and of the buffer; a shared one under each."""
    if not any(module._buffers for module in modules_in(model)):
        return {}
    return {
        f"{prefix}.{key}": b
        for prefix, module in model.named_modules()
        for key, b in module._buffers.items()
        if b is not None
    }


@contextmanager
def kept_module_state(model: nn.Module, start: ModuleState | None = None) -> Iterator[None]:
    """While open, the module works on copies of what its plain attributes hold: hidden states,
    queues, caches, generators. Afterwards the originals stand where they stood.

    start: what passes start from, as `module_state` gives it; default the attributes at entry.
    """
    start = references(model) if start is None else start
    before = [(attributes, plain_attributes(attributes)) for attributes, _ in start]
    try:
        put(start)
        yield
    finally:
        put_back(before)


@contextmanager
def kept_modes(model: nn.Module) -> Iterator[None]:
    """Whatever train() and eval() do inside, every module's own mode comes back."""
    modes = modes_of(model)
    try:
        yield
    finally:
        set_modes(modes)


def modes_of(model: nn.Module) -> list[tuple[nn.Module, bool]]:
    """Each module with its mode: is it in training."""
    return [(module, module.training) for module in modules_in(model)]


def set_modes(modes: Sequence[tuple[nn.Module, bool]]) -> None:
    """Back to modes that `modes_of` found."""
    for module, training in modes:
        if module.training is not training:  # reading is ten times cheaper than writing
            module.training = training


@contextmanager
def differentiable_kernels(model: nn.Module) -> Iterator[None]:
    """While open, kernels that can be differentiated twice: the fused ones of attention cannot,
    cuDNN's recurrent ones in eval mode not even once, and compiled graphs only once. Attention's
    inference path, which leaves padded positions at 0, is off; embeddings have exact gradients.
    """
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    kept = torch.backends.cudnn.enabled, torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.callback(torch.backends.mha.set_fastpath_enabled, kept[1])
        stack.callback(setattr, torch.backends.cudnn, "enabled", kept[0])
        torch.backends.cudnn.enabled = kept[0] and not recurrent
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(exact_embeddings())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and it loads for seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


INEXACT = {"sparse": False, "scale_grad_by_freq": False}  # what changes gradients and no value
OF_TABLES: Mapping[str, Mapping[str, Any]] = {
    "embedding": INEXACT | {"padding_idx": None}, "embedding_bag": INEXACT
}  # fmt: skip
ARGUMENTS = {name: tuple(inspect.signature(getattr(F, name)).parameters) for name in OF_TABLES}


@contextmanager
def exact_embeddings() -> Iterator[None]:
    """While open, gradients of embeddings are dense, and those of the value: not divided by how
    often a row occurs, nor 0 for the row at `padding_idx`, which counts in the value of an
    embedding as any other. A bag leaves that row out of its value, so there its gradient is 0.

    Modules keep their attributes, which a model may read.
    """
    kept = {name: getattr(F, name) for name in OF_TABLES}
    try:
        for name, exact in OF_TABLES.items():
            setattr(F, name, _with(exact, kept[name], ARGUMENTS[name]))
        yield
    finally:
        for name, function in kept.items():
            setattr(F, name, function)


def _with(
    settings: Mapping[str, Any], function: Callable[..., Any], names: Sequence[str]
) -> Callable[..., Any]:
    """A function of arguments with these names, under settings that override those of a call."""

    @functools.wraps(function)
    def changed(*given: Any, **named: Any) -> Any:
        return function(**{**dict(zip(names, given, strict=False)), **named, **settings})

    return changed


@contextmanager
def no_cached_weights() -> Iterator[None]:
    """While open, `torch.nn.utils.parametrize.cached()` of the caller hands out no weights: those
    are of another point.
    """
    kept = parametrize._cache_enabled, parametrize._cache
    try:
        parametrize._cache_enabled, parametrize._cache = 0, {}
        yield
    finally:
        parametrize._cache_enabled, parametrize._cache = kept


@contextmanager
def gradients_on() -> Iterator[None]:
    """While open, gradients are recorded, whatever the caller has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def outside_inference(t: Tensor) -> Tensor:
    """The tensor, or a copy of one made in inference mode, which no graph may hold."""
    return t.clone() if t.is_inference() else t


@contextmanager
def no_autocast() -> Iterator[None]:
    """While open, `torch.autocast` inside a model or loss changes nothing."""
    enter = torch.autocast.__enter__

    def enter_disabled(context: Any) -> Any:
        enabled, context._enabled = context._enabled, False
        try:
            return enter(context)
        finally:
            context._enabled = enabled

    try:
        torch.autocast.__enter__ = enter_disabled  # type: ignore[method-assign]
        yield
    finally:
        torch.autocast.__enter__ = enter  # type: ignore[method-assign]


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Float32 as IEEE has it: no TF32, no bfloat16 inside products on the CPU, no autocast (R7).

    Inside `precision.arithmetic("tf32")` CUDA computes in TF32, inside "bf16" autocast is on, which
    then keeps no cast of weights (R6).
    """
    arithmetic = float32_arithmetic()
    settings: tuple[Any, ...] = (
        torch.backends.cuda.matmul,
        torch.backends.cudnn.conv,  # type: ignore[attr-defined]
        torch.backends.cudnn.rnn,
        torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
        torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
        torch.backends.mkldnn.rnn,  # type: ignore[attr-defined]
    )
    kept = [s.fp32_precision for s in settings]
    try:
        for s in settings:
            s.fp32_precision = "ieee"
        for s in settings[:3]:  # of CUDA
            s.fp32_precision = "tf32" if arithmetic == "tf32" else "ieee"
        low = arithmetic == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=low, cache_enabled=False):
            yield
    finally:
        for s, value in zip(settings, kept, strict=True):
            s.fp32_precision = value
