"""Relative flatness of a layer in a training pass: choice of the layer and of the algorithm.

The ways, the first that holds for the batch:
* "closed": a softmax head under mean cross-entropy, smoothed or not, ignored labels -100;
* "exact": a linear layer called once whose outputs reach the loss each by itself, whatever the
  loss, by products with the Hessian at its output; up to 128 outputs;
* "signs": any weight, by random signs.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from landscape.network import flatness
from landscape.network.flatness import precise
from landscape.network.higher_order import has_custom_functions
from landscape.network.linear_layer import (
    CONVOLUTIONS,
    Call,
    apart,
    curved,
    is_softmax,
    shares,
    through_outputs_alone,
)
from landscape.utils.names import unknown

CLOSED, EXACT, SIGNS = "closed", "exact", "signs"
WIDEST = 128  # outputs: as many products a step; beyond, one random sign is cheaper by far


def candidates(model: nn.Module, layer: str | None) -> dict[str, nn.Module]:
    """Return the named layer, or all linear ones.

    Raises ValueError for a name that is no linear layer and no convolution.
    """
    kinds = (nn.Linear,) if layer is None else (nn.Linear, *CONVOLUTIONS)
    named: dict[str, nn.Module] = {
        name: module for name, module in model.named_modules() if isinstance(module, kinds)
    }
    if layer is None:
        return named
    if layer not in named:
        raise ValueError(unknown("linear layer or convolution in `layer`:", layer, named))
    return {layer: named[layer]}


def choose(loss: Tensor, layer: nn.Module, calls: list[Call], y: Any) -> str:
    """Choose the first way that holds for a layer, by gradients and products on a first batch.

    Raises ValueError where the loss is linear in the layer's output.
    """
    if not (isinstance(layer, nn.Linear) and len(calls) == 1):
        return SIGNS
    if not through_outputs_alone(loss, layer, calls[0]):
        return SIGNS
    way = by_outputs(loss, calls[0].z, y)
    if way != CLOSED and not curved(loss, calls[0].z):
        raise ValueError(
            "FAM needs a loss that is curved in the layer's output. This one is linear there, so "
            "its relative flatness is 0 whatever the weights. Name another layer in `layer`."
        )
    return way


def by_outputs(loss: Tensor, z: Tensor, y: Any) -> str:
    """Choose the way for a layer whose weight reaches the loss through its outputs z alone."""
    if is_softmax(loss, z, y):
        return CLOSED
    if z.shape[-1] <= WIDEST and apart(loss, z, (*z.shape[:-1], 1)):
        return EXACT
    return SIGNS


def choose_again(loss: Tensor, name: str, layer: nn.Module, call: Call, y: Any) -> str:
    """Choose the way for a further batch: labels to ignore or weights may come later.

    Raises ValueError where the weight now reaches the loss in another way than by its outputs.
    """
    if not through_outputs_alone(loss, layer, call):
        raise ValueError(
            f"FAM saw the weight of layer {name!r} reach the loss through its outputs alone. In "
            "this batch it does not: set `draws` for random signs, which hold for any loss."
        )
    return by_outputs(loss, call.z, y)


def check_signs(loss: Tensor, name: str, layer: nn.Module, form: str) -> None:
    """Raise ValueError where random signs do not give the flatness of this layer, saying why."""
    weight = layer._parameters.get("weight")
    if weight is None or not weight.requires_grad:
        reason = "its weight is frozen, or computed from other parameters"
    elif torch.autograd.grad(loss, weight, retain_graph=True, allow_unused=True)[0] is None:
        reason = "the loss does not depend on its weight"
    elif form == "kappa" and getattr(layer, "groups", 1) > 1:
        reason = 'its outputs have different inputs; form="kappa_hat" is defined'
    else:
        return
    raise ValueError(f"FAM cannot penalise layer {name!r}: {reason}. Name another in `layer`.")


def warn_of_custom_functions(loss: Tensor, way: str, z: Tensor | None) -> None:
    """Warn if the algorithm differentiates a user's autograd.Function twice: it may be wrong.

    z: the layer's output, behind which the exact way differentiates twice.
    """
    if way != CLOSED and has_custom_functions(loss, z if way == EXACT else None):
        warnings.warn(
            "FAM differentiates an autograd.Function of yours twice. If its backward leaves the "
            "operations of torch, the penalty is wrong and torch says nothing: write it with them, "
            "or see that torch.autograd.gradgradcheck passes.",
            stacklevel=2,
        )


def the_call(calls: list[Call], name: str) -> Call:
    """Return the one call of a layer. Raises ValueError where it had none, or several."""
    of_layer = [call for call in calls if call.name == name]
    if len(of_layer) != 1:
        raise ValueError(
            f"FAM found layer {name!r} called once a pass. Now it was called {len(of_layer)} "
            "times. Set `draws` for random signs, which do not mind."
        )
    return of_layer[0]


def closed(weight: Tensor, phi: Tensor, z: Tensor, y: Any, form: str, create_graph: bool) -> Tensor:
    """Compute κ or κ̂ of a softmax head, shape ()."""
    phi, z = (precise(t).flatten(0, -2) for t in (phi, z))
    if not create_graph:
        phi, z = phi.detach(), z.detach()
    measure = flatness.kappa if form == "kappa" else flatness.kappa_hat
    return measure(phi, z.softmax(1), precise(weight), shares(y, phi))


def signed(loss: Tensor, weight: Tensor, form: str, draws: int, create_graph: bool) -> Tensor:
    """Average `draws` samples of κ or κ̂, shape (); signs from torch's generator of the CPU."""
    d, m = weight.flatten(1).shape
    shape = (m if form == "kappa" else d, m)
    signs = (2 * torch.randint(0, 2, shape, dtype=torch.int8) - 1 for _ in range(draws))
    samples = [flatness.signed(loss, weight, Z.to(weight), form, create_graph) for Z in signs]
    return torch.stack(samples).mean()
