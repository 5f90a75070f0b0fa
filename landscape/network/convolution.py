"""Convolutions of images whose second derivative takes the kernels of the first, on the CPU.

T(x, W, g) = Σ g·(W ∗ x) is linear in each of the three, so its derivative by one is a function of
the other two, and these functions are each other's derivatives. torch's own double backward
computes the one by W as a convolution with a kernel as large as the image, for which there is no
fast kernel: in a LeNet that was half of a Hessian-vector product.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

IMAGE, WEIGHT, GRADIENT = range(3)  # x (n, c, h, w), W (o, c / groups, p, q), g (n, o, h', w')
PLAIN = (Tensor, torch.nn.Parameter)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """`F.conv2d`; grouped ones are left to torch but for depthwise ones: it is as fast there."""
    if not _helps(input, weight, padding, groups):
        return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
    pairs = [[x, x] if isinstance(x, int) else [*x, *x][:2] for x in (stride, padding, dilation)]
    settings = (*pairs, False, [0, 0], groups)
    y = _Contraction.apply(GRADIENT, settings, (input.shape, weight.shape), input, weight)
    return y if bias is None else y + bias.view(-1, 1, 1)


def _helps(x: Tensor, weight: Tensor, padding: str | int | Sequence[int], groups: int) -> bool:
    plain = type(x) in PLAIN and type(weight) in PLAIN and x.dim() == 4
    return (
        plain
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype in (torch.float32, torch.float64)
        and groups in (1, x.shape[1])
        and not isinstance(padding, str)
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
    )


class _Contraction(torch.autograd.Function):
    """∂T/∂(the slot that is missing) from the other two tensors, in the order of their slots."""

    @staticmethod
    def forward(
        ctx: Any, missing: int, settings: Any, shapes: Any, first: Tensor, second: Tensor
    ) -> Tensor:
        """A tensor of the missing slot's shape. shapes: of x and W."""
        ctx.missing, ctx.settings, ctx.shapes = missing, settings, shapes
        ctx.save_for_backward(first, second)
        if missing == GRADIENT:
            return torch.ops.aten.convolution(first, second, None, *settings)
        slots = [first, second]
        slots.insert(missing, first.new_empty(()).expand(shapes[missing]))  # never read
        x, weight, g = slots
        wanted = [missing == IMAGE, missing == WEIGHT, False]
        return torch.ops.aten.convolution_backward(g, x, weight, None, *settings, wanted)[missing]

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        """T with the cotangent in the missing slot, by each of the other two."""
        slots = list(ctx.saved_tensors)
        slots.insert(ctx.missing, cotangent)
        given = [slot for slot in range(3) if slot != ctx.missing]
        gradients = [
            _Contraction.apply(
                slot, ctx.settings, ctx.shapes, *(t for s, t in enumerate(slots) if s != slot)
            )
            if needed
            else None
            for slot, needed in zip(given, ctx.needs_input_grad[3:], strict=True)
        ]
        return None, None, None, *gradients


NODE: type = _Contraction._backward_cls  # of its graphs
