"""One linear layer z = W φ + b inside a network: which one, its inputs, and the loss as a function
of its outputs.
"""

import difflib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from landscape.objective import Objective


def find(objective: Objective, layer: str | None) -> str:
    """The name of the layer asked for; by default the linear layer that is called last in a pass.

    Raises ValueError where it is no nn.Linear, or where its weight is frozen, used elsewhere too
    or not a parameter of its own.
    """
    linear = {
        name: module
        for name, module in objective.model.named_modules()
        if isinstance(module, nn.Linear)
    }
    if layer is None:
        layer = _last_called(objective, linear)
    if layer not in linear:
        near = difflib.get_close_matches(layer, linear, 1)
        raise ValueError(
            f"`layer` must name an nn.Linear of the model: {', '.join(linear) or 'there is none'}. "
            f"Got {layer!r}." + (f" Did you mean {near[0]!r}?" if near else "")
        )
    weight = linear[layer].weight
    owners = [m for m in objective.model.modules() for p in m._parameters.values() if p is weight]
    if parameter(layer) not in objective.layers or len(owners) != 1:
        raise ValueError(
            f"The weight of layer {layer!r} must be a trainable parameter of that layer alone. "
            "It is frozen, tied to another layer, or computed from other parameters."
        )
    return layer


def parameter(layer: str) -> str:
    """The parameter name of a layer's weight."""
    return f"{layer}.weight" if layer else "weight"


@contextmanager
def cut_at(
    objective: Objective, layer: str, point: Tensor
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """While open, the layer's output z is a leaf: passes differentiate the loss by z alone.

    Each call of the layer appends φ (rows, m) and z (rows, d) to the list that is yielded.
    """
    seen: list[tuple[Tensor, Tensor]] = []

    def cut(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        z = output.detach().flatten(0, -2).requires_grad_()
        seen.append((inputs[0].detach().flatten(0, -2), z))
        return z.view(output.shape).clone()  # a copy, because modules may work in place

    with objective.opened(point):
        handle = objective.model.get_submodule(layer).register_forward_hook(cut)
        try:
            yield seen
        finally:
            handle.remove()


def _last_called(objective: Objective, linear: dict[str, nn.Linear]) -> str:
    called: list[str] = []
    with torch.no_grad(), objective.opened(objective.w), ExitStack() as hooks:
        for name, module in linear.items():
            handle = module.register_forward_hook(lambda *_, name=name: called.append(name))
            hooks.callback(handle.remove)
        objective.loss(objective.model, objective.batches[0])
    if not called:
        raise ValueError("Relative flatness needs an nn.Linear. The model calls none in a pass.")
    return called[-1]
