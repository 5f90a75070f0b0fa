"""Normalisation that can be differentiated twice and three times, where torch's own cannot.

The gradient of a flatness needs third derivatives, a Hessian-vector product second ones.

Torch's own batch, layer and instance norm have the right first two derivatives and, without an
error, a wrong third: their saved mean and deviation count as constants there (pytorch issues
186256, 175754). Weight norm is wrong from the second on. Both as found in torch 2.13.

Reentrant activation checkpoints: where their input needs no gradient, torch leaves the gradients of
their parameters at zero and only warns, in every pass without gradients; elsewhere it fails.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint

from landscape.network.convolution import conv2d
from landscape.network.flatness import precise
from landscape.network.saturated import SATURATED

Composed = dict[Callable[..., Any], Callable[..., Tensor]]


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`F.batch_norm`; x (n, channels, ...)."""
    statistics = (running_mean, running_var)
    if not training:
        return F.batch_norm(x, *statistics, weight, bias, False, momentum, eps)
    if running_mean is not None:
        F.batch_norm(x.detach(), *statistics, training=True, momentum=momentum, eps=eps)
    dims = [d for d in range(x.dim()) if d != 1]
    return _normalised(x, dims, eps, *_by_channel(x, weight, bias))


def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`F.instance_norm`: as batch norm, over the positions of each example alone."""
    statistics = (running_mean, running_var)
    if not use_input_stats:
        return F.instance_norm(x, *statistics, weight, bias, False, momentum, eps)
    if running_mean is not None:
        F.instance_norm(x.detach(), *statistics, momentum=momentum, eps=eps)
    return _normalised(x, list(range(2, x.dim())), eps, *_by_channel(x, weight, bias))


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """`F.layer_norm`; x (..., *normalized_shape)."""
    return _normalised(x, list(range(-len(normalized_shape), 0)), eps, weight, bias)


def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """`torch._weight_norm`: g v/‖v‖, a norm for each slice along `dim`; -1: one for all."""
    dims = [d for d in range(v.dim()) if d != dim]
    return v * (g / v.square().sum(dims, keepdim=dim != -1).sqrt())


def _by_channel(x: Tensor, *parameters: Tensor | None) -> list[Tensor | None]:
    shape = [-1, *[1] * (x.dim() - 2)]
    return [None if p is None else p.view(shape) for p in parameters]


def _normalised(
    x: Tensor, dims: list[int], eps: float, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    centred = precise(x) - precise(x).mean(dims, keepdim=True)
    y = centred * (centred.square().mean(dims, keepdim=True) + eps).rsqrt()
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    return y.to(x.dtype)


class ThirdOrder(TorchFunctionMode):
    """While open, these layers are computed from their formulas; running statistics move as ever,
    to the bit, where what comes in is the same to the bit.
    """

    composed: ClassVar[Composed] = {  # modules call these of torch's
        F.batch_norm: batch_norm,
        F.instance_norm: instance_norm,
        F.layer_norm: layer_norm,
        torch._weight_norm: weight_norm,
    }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return self.composed.get(func, func)(*args, **(kwargs or {}))


class SecondOrder(ThirdOrder):
    """The same for the layers whose second derivative is wrong already."""

    composed: ClassVar[Composed] = {torch._weight_norm: weight_norm}


class DoubleBackward(SecondOrder):
    """The same, losses whose derivatives float32 rounds away, and layers whose second derivative
    has a faster way by double backward alone: they are custom functions, without forward
    derivatives and rules for torch.func.
    """

    composed: ClassVar[Composed] = SecondOrder.composed | SATURATED | {torch.conv2d: conv2d}


class NoSecondDerivative(ValueError):
    """A second derivative that torch does not have."""


MISSING = (  # words of torch
    "double backward",
    "differentiate twice",
    "is not implemented",
    "requires create_graph=False",
)


@contextmanager
def second_derivatives() -> Iterator[None]:
    """While open, torch's words for an operation without a second derivative become
    `NoSecondDerivative`.
    """
    try:
        yield
    except RuntimeError as error:
        words = str(error)
        if not any(phrase in words for phrase in MISSING):
            raise
        raise NoSecondDerivative(
            "The model or loss has an operation without a second derivative in torch: "
            f"{words.strip().splitlines()[0].rstrip('.')}. Compose it of others that have one."
        ) from error


def has_custom_functions(
    loss: Tensor, until: Tensor | None = None, known: tuple[type, ...] = ()
) -> bool:
    """Test whether a loss uses a custom autograd.Function: where its backward leaves torch's
    operations, double backward drops terms without an error.

    until: what lies before this tensor does not count. known: types of nodes that do not, either.
    """
    kind = torch.autograd.function.BackwardCFunction
    nodes = nodes_of(loss, until)
    return any(isinstance(node, kind) and not isinstance(node, known) for node in nodes)


def nodes_of(y: Tensor, until: Tensor | None = None) -> Iterator[Any]:
    """The nodes of a tensor's graph, each once; without what lies before `until`."""
    seen, ahead = set() if until is None else {until.grad_fn}, [y.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            ahead.extend(following for following, _ in node.next_functions)
            yield node


@contextmanager
def activations_kept() -> Iterator[None]:
    """While open, activation checkpoints keep what they would recompute: a pass that depends on
    what is open around it cannot be run again in the backward pass.
    """
    kept = checkpoint._checkpoint_hook
    try:
        checkpoint._checkpoint_hook = lambda _: nullcontext()  # type: ignore[assignment, misc, return-value]
        yield
    finally:
        checkpoint._checkpoint_hook = kept  # type: ignore[misc]


REENTRANT_WARNING = "None of the inputs have requires_grad=True"
REENTRANT_REFUSAL = (
    "The model recomputes activations with torch.utils.checkpoint and use_reentrant=True, which "
    "has no gradients but by .backward(): measures of curvature would see zeros. "
    "Set use_reentrant=False."
)


@contextmanager
def reentrant_checkpoints_heard() -> Iterator[list[str]]:
    """While open, the warning of a reentrant checkpoint is put into the list, and not shown."""
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", REENTRANT_WARNING, UserWarning)
        show = warnings.showwarning

        def hear(message: Warning | str, *rest: Any, **more: Any) -> None:
            if str(message).startswith(REENTRANT_WARNING):
                found.append(str(message))
            else:
                show(message, *rest, **more)

        warnings.showwarning = hear
        yield found
