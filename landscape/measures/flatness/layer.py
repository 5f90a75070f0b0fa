"""The layer that relative flatness speaks of: which one, its weight as a matrix, its features."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape.network.filters import TRANSPOSED, is_conv1d
from landscape.network.linear_layer import (
    CONVOLUTIONS,
    EMPTY,
    is_empty,
    output_axis,
    recorded_calls,
)
from landscape.objective.objective import Objective
from landscape.utils.names import unknown

INSIDE = (
    "`normalize_features` needs the features of layer {!r}. The model calls it inside of "
    "torch.func.vmap or the like, which no tensor may leave. Call it on the whole batch outside, "
    "or set normalize_features=False."
)
KINDS = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)


@dataclass(frozen=True, eq=False)
class LinearLayer:
    """A linear layer or a convolution by its module name.

    parameter: its weight's name in `w`. tied: whether other modules use the weight too.
    """

    name: str
    module: Any
    parameter: str
    tied: bool

    @property
    def transposed(self) -> bool:
        """Tell whether the weight is stored as (inputs, outputs, ...)."""
        return isinstance(self.module, TRANSPOSED) or is_conv1d(self.module)

    def matrix(self, weight: Tensor) -> Tensor:
        """The weight as W (d, m), one row for each output; m counts inputs times kernel size."""
        return (weight.transpose(0, 1) if self.transposed else weight).flatten(1)

    def weight(self, W: Tensor) -> Tensor:
        """W (d, m) in the shape of the weight."""
        shape = list(self.module.weight.shape)
        if self.transposed:
            shape[:2] = shape[1], shape[0]
        W = W.view(shape)
        return W.transpose(0, 1) if self.transposed else W

    def scale(self, x: Tensor, factors: Tensor) -> Tensor:
        """x, an input of the layer, with each feature times its factor."""
        axis = output_axis(self.module)
        return x * factors.view(-1, *[1] * (-1 - axis))

    def columns(self, factors: Tensor) -> Tensor:
        """Factors of the features as factors of the columns of W, (m,)."""
        m = self.module.weight.numel() // self.module.weight.shape[1 if self.transposed else 0]
        return factors.repeat_interleave(m // len(factors))


def find(objective: Objective, layer: str | None) -> LinearLayer:
    """The layer asked for; by default the nn.Linear that is called last in a pass.

    Raises ValueError where there is none of this name, or where its weight is empty, frozen,
    computed from other parameters, or used in groups.
    """
    known: dict[str, nn.Module] = {
        n: m for n, m in objective.model.named_modules() if isinstance(m, KINDS) or is_conv1d(m)
    }
    if layer is None:
        layer = _last_called(objective, known)
    if layer not in known:
        raise ValueError(unknown("linear layer or convolution in `layer`:", layer, known))
    module = known[layer]
    if is_empty(module):
        raise ValueError(f"{EMPTY} Got {layer!r}.")
    named = zip(objective.weights.names, objective.weights.parameters, strict=True)
    names = [name for name, p in named if p is module._parameters.get("weight")]
    if not names:
        raise ValueError(
            f"The weight of layer {layer!r} must be a trainable parameter of its own. It is "
            "frozen, or computed from other parameters. Name another in `layer`."
        )
    if getattr(module, "groups", 1) > 1:
        raise ValueError(
            f"Relative flatness compares the rows of one matrix. Layer {layer!r} has "
            f"{module.groups} groups, whose rows weigh different inputs. Name another in `layer`."
        )
    uses = [p for m in objective.model.modules() for p in m._parameters.values()]
    tied = sum(p is module.weight for p in uses) > 1
    return LinearLayer(layer, module, names[0], tied)


def deviations(objective: Objective, layer: LinearLayer) -> Tensor:
    """Scale of each feature on the data, float64: its standard deviation over examples and
    positions; of a constant feature its absolute value; so 0 for a dead one alone.

    The features of a convolution are its input channels, whose patches share one number.
    Raises ValueError where the layer's inputs are not seen, or only inside of torch.func.vmap.
    """
    if layer.tied:
        raise ValueError(
            f"`normalize_features` needs a weight of one layer alone. That of {layer.name!r} is "
            "tied to another layer, which has other features."
        )
    axis, leaf = output_axis(layer.module), objective.w.requires_grad_()
    weights, means, variances = [], [], []
    with objective.risk.opened(leaf), recorded_calls({layer.name: layer.module}) as calls:
        for batch, fraction in objective.risk.terms:
            calls.clear()
            objective.risk.batch_loss(batch)
            for call in calls:
                if call.is_inside:
                    raise ValueError(INSIDE.format(layer.name))
                x = call.x.detach().double().movedim(axis, -1).flatten(0, -2)
                weights.append(fraction / len(calls))
                means.append(x.mean(0))
                variances.append(x.var(0, correction=0))
    if not means:
        raise ValueError(
            f"`normalize_features` needs the features of layer {layer.name!r}. The model uses its "
            "weight without calling it."
        )
    weight, ranks = means[0].new_tensor(weights), objective.ranks
    mean = ranks.sum(weight @ torch.stack(means))
    between = weight @ (torch.stack(means) - mean).square()
    deviation = ranks.sum(weight @ torch.stack(variances) + between).sqrt()
    constant = deviation <= 4 * torch.finfo(leaf.dtype).eps * mean.abs()
    return torch.where(constant, mean.abs(), deviation)


def _last_called(objective: Objective, known: dict[str, nn.Module]) -> str:
    linear = {n: m for n, m in known.items() if isinstance(m, nn.Linear) and not is_empty(m)}
    called: list[str] = []
    # With a graph: without one some of torch's modules take a short cut around their layers.
    with objective.risk.opened(objective.w.requires_grad_()), ExitStack() as hooks:
        for name, module in linear.items():
            handle = module.register_forward_hook(lambda *_, name=name: called.append(name))
            hooks.callback(handle.remove)
        objective.risk.batch_loss(objective.risk.terms[0][0])
    if not called:
        raise ValueError(
            "Relative flatness needs an nn.Linear that a pass calls, or a layer named in `layer`. "
            f"Linear layers and convolutions here: {', '.join(known) or 'none'}."
        )
    return called[-1]
