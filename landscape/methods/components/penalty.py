"""Relative flatness of one layer in a training pass, as FAM penalises it.

W (d, m) the layer's weight, φ its inputs, z = W φ + b its outputs, T_{s,s'} = tr H_{s,s'}:

    κ = Σ_{s,s'} ⟨w_s, w_s'⟩ T_{s,s'},   κ̂ = ‖W‖² tr T.

Three ways to compute them, the first that holds for the batch:

* "closed": κ = mean ‖φ‖² Σ_s p_s ‖w_s − w̄‖² of a softmax head under mean cross-entropy, smoothed or
  not, ignored labels -100;
* "exact": T = Σ_i ‖φ_i‖² ∂²L/∂z_i² by d products at z, of a linear layer called once whose outputs
  reach the loss each by itself, whatever the loss; up to 128 outputs;
* "signs": κ = E⟨W Z, H[W Z]⟩, κ̂ = ‖W‖² E⟨Z, H[Z]⟩ over random signs Z, of any weight.

The equations are in `landscape.network.flatness`.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape.network import flatness
from landscape.network.flatness import precise
from landscape.network.higher_order import has_custom_functions
from landscape.network.linear_layer import (
    CONVOLUTIONS,
    EMPTY,
    Call,
    apart,
    curved,
    example_weights,
    is_empty,
    is_softmax,
    patches,
    through_outputs_alone,
)
from landscape.utils.names import unknown

CLOSED, EXACT, SIGNS = "closed", "exact", "signs"
WIDEST = 128  # outputs: as many products a step; beyond, one random sign is cheaper by far


@dataclass(frozen=True)
class LayerPass:
    """A pass of a model, seen from one of its layers.

    name: of the layer. loss: shape (), with its graph. calls: those of the layer. y: the targets.
    """

    model: nn.Module
    name: str
    loss: Tensor
    calls: Sequence[Call]
    y: Any

    @property
    def layer(self) -> Any:
        """The layer, an nn.Linear or a convolution."""
        return self.model.get_submodule(self.name)

    @property
    def call(self) -> Call:
        """The one call of the layer. Raises ValueError where it had none, or several."""
        if len(self.calls) != 1:
            raise ValueError(
                f"FAM found layer {self.name!r} called once a pass. Now it was called "
                f"{len(self.calls)} times. Set `draws` for random signs, which do not mind."
            )
        return self.calls[0]


def compute(way: str, seen: LayerPass, form: str, draws: int, full: bool) -> Tensor:
    """κ or κ̂ of a layer, shape (). full: its gradient goes through H as well."""
    with torch.autocast(seen.loss.device.type, enabled=False):
        if way == CLOSED:
            return closed(seen, form, full)
        if way == EXACT:
            return exact(seen, form, full)
        return signed(seen, form, draws, full)


def closed(seen: LayerPass, form: str, full: bool) -> Tensor:
    """κ or κ̂ of a softmax head, shape ()."""
    phi, z = patches(seen.layer, seen.call.x), seen.call.z
    phi, z = (precise(t).flatten(0, -2) for t in (phi, z))
    if not full:
        phi, z = phi.detach(), z.detach()
    measure = flatness.kappa if form == "kappa" else flatness.kappa_hat
    return measure(phi, z.softmax(1), precise(seen.layer.weight), example_weights(seen.y, phi))


def exact(seen: LayerPass, form: str, full: bool) -> Tensor:
    """κ or κ̂ from T (d, d), shape ()."""
    T = flatness.output_traces(
        seen.loss, patches(seen.layer, seen.call.x), seen.call.z, create_graph=full
    )
    return flatness.of_traces(T if full else T.detach(), precise(seen.layer.weight), form)


def signed(seen: LayerPass, form: str, draws: int, full: bool) -> Tensor:
    """Mean of `draws` samples of κ or κ̂, shape (); signs from torch's generator of the CPU."""
    loss, weight = seen.loss, seen.layer.weight
    d, m = weight.flatten(1).shape
    shape = (m if form == "kappa" else d, m)
    signs = (2 * torch.randint(0, 2, shape, dtype=torch.int8) - 1 for _ in range(draws))
    samples = [flatness.signed(loss, weight, Z.to(weight), form, full) for Z in signs]
    return torch.stack(samples).mean()


def candidates(model: nn.Module, layer: str | None) -> dict[str, nn.Module]:
    """Return the named layer, or all linear ones that have weights.

    Raises ValueError for a name that is no linear layer and no convolution, or of an empty one.
    """
    kinds = (nn.Linear,) if layer is None else (nn.Linear, *CONVOLUTIONS)
    named: dict[str, nn.Module] = {
        name: module for name, module in model.named_modules() if isinstance(module, kinds)
    }
    if layer is None:
        return {name: module for name, module in named.items() if not is_empty(module)}
    if layer not in named:
        raise ValueError(unknown("linear layer or convolution in `layer`:", layer, named))
    if is_empty(named[layer]):
        raise ValueError(f"{EMPTY} Got {layer!r}.")
    return {layer: named[layer]}


def choose(seen: LayerPass) -> str:
    """Choose the first way that holds for a layer, by gradients and products on a first batch.

    Raises ValueError where the loss is linear in the layer's output.
    """
    if not (isinstance(seen.layer, nn.Linear) and len(seen.calls) == 1):
        return SIGNS
    if not through_outputs_alone(seen.loss, seen.layer, seen.call):
        return SIGNS
    way = by_outputs(seen)
    if way != CLOSED and not curved(seen.loss, seen.call.z):
        raise ValueError(
            "FAM needs a loss that is curved in the layer's output. This one is linear there, so "
            "its relative flatness is 0 whatever the weights. Name another layer in `layer`."
        )
    return way


def by_outputs(seen: LayerPass) -> str:
    """Choose the way for a layer whose weight reaches the loss through its outputs alone."""
    loss, z = seen.loss, seen.call.z
    if is_softmax(loss, z, seen.y):
        return CLOSED
    if z.shape[-1] <= WIDEST and apart(loss, z, (*z.shape[:-1], 1)):
        return EXACT
    return SIGNS


def choose_again(way: str, seen: LayerPass) -> str:
    """Choose the way for a further batch: labels to ignore or weights may come later.

    way: that of the first batch. Random signs hold for all.

    Raises ValueError where the weight now reaches the loss in another way than by its outputs.
    """
    if way == SIGNS:
        return SIGNS
    with torch.autocast(seen.loss.device.type, enabled=False):
        if not through_outputs_alone(seen.loss, seen.layer, seen.call):
            raise ValueError(
                f"FAM saw the weight of layer {seen.name!r} reach the loss through its outputs "
                "alone. In this batch it does not: set `draws` for random signs, which hold for "
                "any loss."
            )
        return by_outputs(seen)


def check_signs(seen: LayerPass, form: str) -> None:
    """Raise ValueError where random signs do not give the flatness of this layer, saying why."""
    weight = seen.layer._parameters.get("weight")
    if weight is None or not weight.requires_grad:
        reason = "its weight is frozen, or computed from other parameters"
    elif torch.autograd.grad(seen.loss, weight, retain_graph=True, allow_unused=True)[0] is None:
        reason = "the loss does not depend on its weight"
    elif form == "kappa" and getattr(seen.layer, "groups", 1) > 1:
        reason = 'its outputs have different inputs; form="kappa_hat" is defined'
    else:
        return
    raise ValueError(f"FAM cannot penalise layer {seen.name!r}: {reason}. Name another in `layer`.")


def warn_of_custom_functions(way: str, seen: LayerPass) -> None:
    """Warn if the algorithm differentiates a user's autograd.Function twice: it may be wrong.

    The exact way differentiates twice behind the layer's output alone.
    """
    z = seen.call.z if way == EXACT else None
    if way != CLOSED and has_custom_functions(seen.loss, z):
        warnings.warn(
            "FAM differentiates an autograd.Function of yours twice. If its backward leaves the "
            "operations of torch, the penalty is wrong and torch says nothing: write it with them, "
            "or see that torch.autograd.gradgradcheck passes.",
            stacklevel=2,
        )
