"""Classification losses in float64 inside of a float32 network.

Their derivatives hold p − y, which is small where a network has learned its examples: of 1 − p =
1e-3 float32 rounds 1e-4 away. On a trained LeNet that was nine tenths of the error of a
Hessian-vector product, and the loss is the cheapest step of all.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST = 1 << 20  # numbers that go through float64: 8 MiB a tensor


def in_float64(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of logits, computed in float64 where they are float32 and not too many; the
    result is float32 as before, unless another dtype is asked for.
    """

    def precise(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        doubled = input.dtype == torch.float32 and input.device.type in ("cpu", "cuda")
        if not doubled or input.numel() > LARGEST or kwargs.get("dtype") is not None:
            return function(input, *args, **kwargs)
        wide = {key: _wide(value) for key, value in kwargs.items()}
        return function(input.double(), *map(_wide, args), **wide).to(input.dtype)

    return precise


def _wide(value: Any) -> Any:
    is_float = isinstance(value, Tensor) and value.is_floating_point()
    return value.double() if is_float else value


SATURATED = {
    function: in_float64(function)
    for function in (
        F.cross_entropy,
        F.binary_cross_entropy_with_logits,
        F.log_softmax,
        torch.log_softmax,
        Tensor.log_softmax,
    )
}
