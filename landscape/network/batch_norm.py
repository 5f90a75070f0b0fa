"""What batch norm normalises with while a measure looks at a point: rule R7.

stored       the running statistics, as the network is deployed;
batch        the statistics of each batch, as in training;
reestimated  statistics averaged over all the batches at the point itself, so they are functions of
`w` and
             gradients flow through them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

POLICIES = ("stored", "batch", "reestimated")
BatchNorm = nn.modules.batchnorm._BatchNorm
Statistics = dict[BatchNorm, tuple[Tensor, Tensor]]


def layers(model: nn.Module) -> list[BatchNorm]:
    """The batch-norm layers of a module."""
    return [module for module in model.modules() if isinstance(module, BatchNorm)]


def use_batch_statistics(model: nn.Module) -> None:
    """Batch-norm layers to train mode. Call where buffers are isolated: running statistics will
    move.
    """
    for layer in layers(model):
        layer.train()


def estimate(
    model: nn.Module, forward: Callable[[Any], object], batches: Sequence[Any]
) -> Statistics:
    """Mean and variance (channels,) of every layer's input, averaged over the batches by their
    weight.

    Each batch is normalised by its own statistics on the way, as in training. The variance of a
    batch is the unbiased
    one, as torch's running variance. Differentiable where gradients are on.
    """
    total = sum(batch.share for batch in batches)
    sums: Statistics = {}
    share = 0.0

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, BatchNorm)
        x = inputs[0].transpose(0, 1).flatten(1)
        mean, variance = share * x.mean(1), share * x.var(1)
        if layer in sums:
            mean, variance = sums[layer][0] + mean, sums[layer][1] + variance
        sums[layer] = mean, variance

    hooks = [layer.register_forward_pre_hook(record) for layer in layers(model)]
    use_batch_statistics(model)
    try:
        for batch in batches:
            share = batch.share / total
            forward(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers(model):
            layer.eval()
    return sums


@contextmanager
def normalising_with(statistics: Statistics) -> Iterator[None]:
    """While open, each layer normalises with the given statistics, through which gradients flow."""
    try:
        for layer, (mean, variance) in statistics.items():
            layer.forward = _affine(layer, mean, variance)  # type: ignore[method-assign, assignment]
        yield
    finally:
        for layer in statistics:
            layer.__dict__.pop("forward", None)


def _affine(layer: BatchNorm, mean: Tensor, variance: Tensor) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        y = (x - mean.view(shape)) * torch.rsqrt(variance + layer.eps).view(shape)
        if layer.weight is None:
            return y
        return y * layer.weight.view(shape) + layer.bias.view(shape)

    return forward
