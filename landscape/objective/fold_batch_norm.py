"""Batch norm at stored statistics is affine: it goes into the weights of the layer before it.

    norm(W x + b) = (s W) x + s (b - mean) + shift,   s = gain / √(variance + ε)

A ReLU after it then works in place. Which layers follow each other is read from a symbolic trace
(torch.fx); a model that cannot be traced has no chains.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils import fuse_conv_bn_weights

Affine = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Chain:
    """Layers called once each, the output of one used by the next alone."""

    affine: Affine
    norm: Norm
    relu: nn.ReLU | None

    def forward(self, x: Tensor) -> Tensor:
        """The chain's output, without gradients, with the weights and statistics of the moment."""
        affine, norm = self.affine, self.norm
        if isinstance(affine, nn.Linear) and x.dim() != 2:
            raise ValueError("Features of more than two dimensions are not normalised by the last.")
        assert norm.running_mean is not None and norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(  # of linear layers too, whose own needs a gain
            *(affine.weight, affine.bias, norm.running_mean, norm.running_var),
            *(norm.eps, norm.weight, norm.bias),
        )
        if isinstance(affine, nn.Linear):
            y = F.linear(x, weight, bias)
        else:
            y = affine._conv_forward(x, weight, bias)
        return y if self.relu is None else y.relu_()


def chains(model: nn.Module) -> list[Chain]:
    """All of a model in eval mode. None where one of their layers has hooks or is called twice."""
    try:
        # A copy, since a trace may leave things behind in the model; weights are not copied.
        traced = copy.deepcopy(model, {id(p): p for p in model.parameters()})
        nodes = fx.Tracer().trace(traced).nodes
    except Exception:  # the model's own code runs here, which may raise anything
        return []
    modules = dict(model.named_modules(remove_duplicate=False))
    layers = {node: modules[str(node.target)] for node in nodes if node.op == "call_module"}
    found = []
    for node, affine in layers.items():
        norm = _next(node, layers)
        if isinstance(affine, Affine) and isinstance(norm, Norm) and norm.running_mean is not None:
            (after,) = node.users
            relu = _next(after, layers)
            chain = Chain(affine, norm, relu if isinstance(relu, nn.ReLU) else None)
            if all(_is_plain(layer, layers) for layer in vars(chain).values() if layer is not None):
                found.append(chain)
    return found


def _next(node: fx.Node, layers: Mapping[fx.Node, nn.Module]) -> nn.Module | None:
    """The layer that alone uses what a node returns, and nothing else."""
    if len(node.users) != 1:
        return None
    (user,) = node.users
    return layers.get(user) if user.args == (node,) and not user.kwargs else None


def _is_plain(layer: nn.Module, layers: Mapping[fx.Node, nn.Module]) -> bool:
    """Torch's own layer as it is, without hooks or parametrizations, called once."""
    return (
        type(layer).__module__.startswith("torch.nn.modules.")
        and "forward" not in vars(layer)
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
        and Counter(map(id, layers.values()))[id(layer)] == 1
    )


@contextmanager
def folded(some: Sequence[Chain]) -> Iterator[None]:
    """While open, the first layer of each chain does the work of all."""
    with ExitStack() as stack:
        for chain in some:
            stack.enter_context(_working_as(chain.affine, chain.forward))
            for layer in (chain.norm, chain.relu):
                if layer is not None:
                    stack.enter_context(_working_as(layer, lambda x: x))
        yield


@contextmanager
def _working_as(layer: nn.Module, forward: Forward) -> Iterator[None]:
    try:
        layer.forward = forward
        yield
    finally:
        layer.__dict__.pop("forward", None)
