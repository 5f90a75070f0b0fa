"""Calls of torch's batch and instance norm, whichever function a layer's forward goes through."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_GIVEN = ("x", "running_mean", "running_var", "weight", "bias", "by_batch", "momentum", "eps")
_MIXED = ("x", "weight", "bias", "running_mean", "running_var", "by_batch", "momentum", "eps")
ORDERS: dict[Callable[..., Any], Sequence[str]] = {
    F.batch_norm: _GIVEN,
    F.instance_norm: _GIVEN,
    torch.batch_norm: _MIXED,
    torch.instance_norm: _MIXED,
}
RENAMED = {"input": "x", "training": "by_batch", "use_input_stats": "by_batch"}


class NormCall(NamedTuple):
    """x: (n, channels, ...). running_mean, running_var, weight, bias: (channels,) or None.
    by_batch: whether x is normalised by its own statistics.
    """

    x: Tensor
    running_mean: Tensor | None = None
    running_var: Tensor | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None
    by_batch: bool = False
    eps: float = 1e-5


class NormCalls(TorchFunctionMode):
    """While open, asks `answer` for the output of each call; None: as torch computes it."""

    def __init__(self, answer: Callable[[NormCall], Tensor | None]):
        super().__init__()
        self.answer = answer

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in ORDERS:
            given: dict[str, Any] = {"by_batch": func is F.instance_norm}
            given |= dict(zip(ORDERS[func], args, strict=False))
            given |= {RENAMED.get(key, key): value for key, value in kwargs.items()}
            call = NormCall(**{key: given[key] for key in NormCall._fields if key in given})
            output = self.answer(call)
            if output is not None:
                return output
        return func(*args, **kwargs)


def normalised(call: NormCall) -> Tensor:
    """(x − running_mean)/√(running_var + ε) · weight + bias, differentiable in all of them, as
    torch's kernels are not.
    """
    assert call.running_mean is not None and call.running_var is not None
    shape = (1, -1) + (1,) * (call.x.dim() - 2)
    centred = call.x - call.running_mean.view(shape)
    y = centred * torch.rsqrt(call.running_var + call.eps).view(shape)
    y = y if call.weight is None else y * call.weight.view(shape)
    return y if call.bias is None else y + call.bias.view(shape)
