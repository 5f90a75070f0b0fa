"""Policies for the statistics that batch norm uses in a measurement: rule R7.

stored       the running statistics, as the network is deployed;
batch        the statistics of each batch, as in training;
reestimated  statistics averaged over all the batches at the point itself, so they are functions of
             `w` and gradients flow through them.

A policy decides on layers with running statistics: batch norm of any kind, its subclasses, and
instance norm that tracks. Layers without them normalise by their input in training and deployed
alike; frozen ones, which stay in eval mode while the model trains, by what is stored.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from landscape.network.higher_order import activations_kept
from landscape.network.modes import modes_in_training
from landscape.network.norm_calls import NormCall, NormCalls, normalised

POLICIES = ("stored", "batch", "reestimated")
Norm = nn.modules.batchnorm._NormBase
Statistics = dict[Norm, tuple[Tensor, Tensor]]


def layers(model: nn.Module) -> list[Norm]:
    """The layers with running statistics."""
    return [m for m in model.modules() if isinstance(m, Norm) and m.running_mean is not None]


def trained(model: nn.Module) -> list[Norm]:
    """Those of `layers` that are not frozen: in training they normalise by the batch.

    Frozen are the layers in eval mode within a model in train mode, and those that a `train()` of
    the model's own leaves so.
    """
    training = {module for module, training in modes_in_training(model) if training}
    return [layer for layer in layers(model) if layer in training]


def unknown(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a user's own with running statistics by their names, that train; by name."""
    known, training = set(layers(model)), dict(modes_in_training(model))
    return {
        name: module
        for name, module in model.named_modules()
        if module not in known
        and training[module]
        and any(key.startswith(("running_", "moving_")) for key in module._buffers)
    }


def use_batch_statistics(norms: Iterable[Norm]) -> None:
    """Layers to train mode. Call where buffers are isolated: running statistics will move."""
    for layer in norms:
        layer.training = True


def estimate(
    norms: Sequence[Norm],
    forward: Callable[[Any], object],
    batches: Sequence[Any],
    pooled: Callable[[Tensor], Tensor] | None = None,
) -> Statistics:
    """Mean and variance (channels,) of what each layer normalises, averaged over the batches by
    their weight. A layer called several times in a pass has the statistics of all its calls pooled.

    Each call is normalised by its own statistics on the way, as in training. The variance is the
    unbiased one, as torch's running variance; that of instance norm is the mean over examples.
    Differentiable where gradients are on. Layers that no batch reaches are not in the answer.

    pooled: sums a vector over processes that hold further batches.
    """
    found: dict[Norm, list[tuple[float, Tensor, Tensor]]] = {}
    use_batch_statistics(norms)
    try:
        for batch in batches:
            with activations_kept(), recorded_inputs(norms) as inputs:
                forward(batch)
            for layer, calls in inputs.items():
                found.setdefault(layer, []).append((batch.share, *_statistics(layer, calls)))
    finally:
        for layer in norms:
            layer.training = False
    if pooled is not None:
        return _averaged_over_processes(norms, found, pooled)
    return {layer: _averaged(of_batches) for layer, of_batches in found.items()}


@contextmanager
def recorded_inputs(norms: Sequence[Norm]) -> Iterator[dict[Norm, list[Tensor]]]:
    """While open, what each layer normalises by the statistics of the batch itself, call by call.

    That is what reaches torch's function, or the layer's input where its forward does without.
    """
    inputs: dict[Norm, list[Tensor]] = {}
    layers = {id(layer.running_mean): layer for layer in norms}
    counts: list[int] = []  # calls recorded before the layers that are at work

    def record(call: NormCall) -> None:
        if call.by_batch and id(call.running_mean) in layers:
            inputs.setdefault(layers[id(call.running_mean)], []).append(call.x)

    def before(layer: Any, _: Any) -> None:
        counts.append(len(inputs.get(layer, ())))

    def after(layer: Any, args: Any, named: Mapping[str, Any], _: Any) -> None:
        if counts.pop() == len(inputs.get(layer, ())) and layer.training:
            inputs.setdefault(layer, []).append(args[0] if args else next(iter(named.values())))

    with ExitStack() as stack:
        for layer in norms:
            stack.callback(layer.register_forward_pre_hook(before).remove)
            stack.callback(layer.register_forward_hook(after, with_kwargs=True).remove)
        stack.enter_context(NormCalls(record))
        yield inputs


@contextmanager
def normalising_with(statistics: Statistics) -> Iterator[None]:
    """While open, each layer's own forward finds these statistics in the place of its running ones;
    gradients flow through them.
    """
    kept = [(layer, layer.running_mean, layer.running_var) for layer in statistics]
    given = {id(mean) for mean, _ in statistics.values()}

    def answer(call: NormCall) -> Tensor | None:
        by_given = not call.by_batch and id(call.running_mean) in given
        return normalised(call) if by_given else None

    try:
        for layer, (mean, variance) in statistics.items():
            layer._buffers.update(running_mean=mean, running_var=variance)
        with activations_kept(), NormCalls(answer):
            yield
    finally:
        for layer, own_mean, own_variance in kept:
            layer._buffers.update(running_mean=own_mean, running_var=own_variance)


def _statistics(layer: Norm, calls: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and variance (channels,) over the calls of one pass, pooled."""
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm):
        examples = [x.flatten(2) for x in calls]
        return (
            torch.cat([x.mean(2) for x in examples]).mean(0),
            torch.cat([x.var(2) for x in examples]).mean(0),
        )
    channels = [x.transpose(0, 1).flatten(1) for x in calls]
    x = channels[0] if len(channels) == 1 else torch.cat(channels, 1)
    return x.mean(1), x.var(1)


def _averaged_over_processes(
    norms: Sequence[Norm],
    found: dict[Norm, list[tuple[float, Tensor, Tensor]]],
    pooled: Callable[[Tensor], Tensor],
) -> Statistics:
    """The averages by weight over the batches of all processes, by one sum for all layers."""
    sizes = [3 * layer.num_features for layer in norms]  # weight, mean and variance by channel
    means = (mean for of_batches in found.values() for _, mean, _ in of_batches)
    like = next(means, torch.zeros(()))
    sums = [
        sum(
            (torch.cat([torch.full_like(mean, s), s * mean, s * var]) for s, mean, var in calls),
            torch.zeros(size, dtype=like.dtype, device=like.device),
        )
        for size, calls in zip(sizes, (found.get(layer, ()) for layer in norms), strict=True)
    ]
    parts = pooled(torch.cat(sums)).split(sizes)
    triples = {layer: part.chunk(3) for layer, part in zip(norms, parts, strict=True)}
    return {
        layer: (mean / weight, variance / weight)
        for layer, (weight, mean, variance) in triples.items()
        if float(weight.detach()[0]) > 0
    }


def _averaged(of_batches: Sequence[tuple[float, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """By the weights of the batches that called the layer."""
    total = sum(share for share, _, _ in of_batches)
    means = (share / total * mean for share, mean, _ in of_batches)
    variances = (share / total * variance for share, _, variance in of_batches)
    return reduce(Tensor.add, means), reduce(Tensor.add, variances)
