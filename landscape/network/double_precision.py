"""A model's pass in float64 at float32 weights: what its rounding is measured against."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from landscape.network.precision import Precision

LOW = (torch.float16, torch.bfloat16, torch.float32)
CASTS = (Tensor.half, Tensor.bfloat16, Tensor.float)


class KeepsFloat32(RuntimeError):
    """A model computes with its weights in float32 whatever it is given."""


def doubled(t: Tensor) -> Tensor:
    """Floating-point numbers of fewer than 64 bits in float64; anything else as it is."""
    return t.double() if t.dtype in LOW else t


class DoublePrecision(Precision):
    """Casts of a model, its buffers and its data to float64.

    Raises KeepsFloat32, in a pass, where something that depends on the weights is not float64.
    """

    raised = staticmethod(doubled)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While open, the model computes in float64, also with numbers that it makes itself."""
        default = torch.get_default_dtype()
        try:
            torch.set_default_dtype(torch.float64)
            with DoubledFunctions(), self._frozen_raised():
                yield
        finally:
            torch.set_default_dtype(default)


class DoubledFunctions(TorchFunctionMode):
    """While open, torch's functions get float64 and cast to no less; those that write into their
    argument get it as it is.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        func = Tensor.double if func in CASTS else func
        if not getattr(func, "__name__", "").endswith("_"):
            args = tuple(map(_wide, args))
        result = func(*args, **{key: _wide(value) for key, value in (kwargs or {}).items()})
        if isinstance(result, Tensor) and result.dtype in LOW and result.requires_grad:
            raise KeepsFloat32(f"The model computes in {result.dtype} whatever it is given.")
        return result


def _wide(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return doubled(argument)
    if isinstance(argument, list | tuple) and any(isinstance(item, Tensor) for item in argument):
        return type(argument)(map(_wide, argument))
    return torch.float64 if argument in LOW else argument
