"""Models in bfloat16 or float16 are measured in float32, so that no curvature drowns in rounding:
parameters, buffers and inputs are cast, the user's model stays as it is. Float32 is that of IEEE,
unless curvature products are asked for in TF32.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from landscape.network.batch import Batch, mapped

ARITHMETICS = ("auto", "ieee", "tf32")  # auto: ieee
OF_LOSSES = (*ARITHMETICS, "bf16")  # where nothing is differentiated
_float32 = "ieee"


def arithmetic_of(precision: str, known: Sequence[str] = ARITHMETICS) -> str:
    """The arithmetic of a name: "ieee", "tf32", or "bf16" where it is known.

    Raises ValueError for another name.
    """
    if precision not in known:
        where = ", which is for losses alone: surface, noise, profile, path"
        raise ValueError(
            f"`precision` must be one of {', '.join(known)}. Got {precision!r}"
            f"{where if precision in OF_LOSSES else ''}."
        )
    return "ieee" if precision == "auto" else precision


@contextmanager
def arithmetic(name: str) -> Iterator[None]:
    """While open, matrix products and convolutions in float32 are "ieee" or "tf32", or "bf16" by
    autocast.
    """
    global _float32
    kept, _float32 = _float32, name
    try:
        yield
    finally:
        _float32 = kept


def float32_arithmetic() -> str:
    """The arithmetic in force, "ieee", "tf32" or "bf16"."""
    return _float32


def raised(t: Tensor) -> Tensor:
    """Floating-point numbers of fewer than 32 bits in float32; anything else as it is."""
    return t.float() if t.is_floating_point() and t.element_size() < 4 else t


class RaisedCasts(TorchFunctionMode):
    """While open, torch's functions cast to float32 where they are asked for fewer bits."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        func = Tensor.float if func in (Tensor.half, Tensor.bfloat16) else func
        args = tuple(map(_wide, args))
        return func(*args, **{key: _wide(value) for key, value in (kwargs or {}).items()})


def _wide(argument: Any) -> Any:
    low = argument is torch.float16 or argument is torch.bfloat16
    return torch.float32 if low else argument


class Precision:
    """Casts of a model, its buffers and its data; none for most models.

    moving: the parameters that are w; default the trainable ones. Of others that are trainable the
    model computes with copies, which training does not move.
    dtype: of the model's own parameters; several of them in alphabetical order. as_they_are: frozen
    parameters of which there is no copy.

    Raises ValueError for complex parameters, frozen ones too. Frozen integers, as of a quantised
    network, stay as they are.
    """

    raised = staticmethod(raised)  # the cast

    def __init__(self, model: nn.Module, moving: Iterable[Tensor] | None = None):
        for name, p in model.named_parameters():
            if p.is_complex():
                raise ValueError(
                    f"Parameters must be real floating-point numbers. Got {p.dtype} in {name!r}."
                )
        names = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
        self.dtype = ", ".join(names)
        self._low = any(self.raised(p) is not p for p in model.parameters())
        copies: dict[int, Tensor] = {}
        used: dict[int, Tensor] = {}
        self._frozen: list[tuple[nn.Module, str, Tensor]] = []
        trainable = (p for p in model.parameters() if p.requires_grad)
        substituted = {id(p) for p in (trainable if moving is None else moving)}
        for module in model.modules():
            for key, own in module._parameters.items():
                if own is None or id(own) in substituted:
                    continue
                cast = self.raised(own.detach())
                held = cast.clone() if own.requires_grad else cast
                is_copy = not isinstance(own, nn.Parameter)  # which an open Precision put there
                if own.requires_grad or is_copy or cast.dtype is not own.dtype:
                    copies.setdefault(id(own), held)
                    self._frozen.append((module, key, copies[id(own)]))
                else:
                    used[id(own)] = own
        self.as_they_are = list(used.values())

    def batch(self, batch: Batch) -> Batch:
        """Inputs and targets as the model's pass needs them."""
        if not self._low:
            return batch
        return replace(batch, x=mapped(batch.x, self.raised), y=mapped(batch.y, self.raised))

    def buffers(self, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Buffers as the model's pass needs them; shared ones stay shared."""
        found = {id(b): self.raised(b) if self._low else b for b in named.values()}
        return {name: found[id(b)] for name, b in named.items()}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While open, the model computes with copies of its frozen parameters that were cast, and
        what it casts to fewer bits itself is raised again.
        """
        with RaisedCasts() if self._low else nullcontext(), self._frozen_raised():
            yield

    @contextmanager
    def _frozen_raised(self) -> Iterator[None]:
        kept = [module._parameters[key] for module, key, _ in self._frozen]
        try:
            for module, key, copied in self._frozen:
                module._parameters[key] = copied  # type: ignore[assignment]
            yield
        finally:
            for (module, key, _), own in zip(self._frozen, kept, strict=True):
                module._parameters[key] = own
