"""How a training pass computes the relative flatness of a layer: which layer, and which way.

The ways, the first that holds, tried once on a first batch:
* "closed": a softmax head under mean cross-entropy, smoothed or not, ignored labels -100;
* "exact": a linear layer called once whose outputs reach the loss each by itself, whatever the
  loss, by products with the Hessian at its output; up to 128 outputs;
* "signs": any weight, by random signs.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from landscape import flatness
from landscape.flatness import precise
from landscape.names import unknown

CLOSED, EXACT, SIGNS = "closed", "exact", "signs"
WIDEST = 128  # outputs: as many products a step; beyond, one random sign is cheaper by far

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Call = tuple[str, Tensor, Tensor]  # the layer, its input φ (..., m) and its output z (..., d)


def candidates(model: nn.Module, layer: str | None) -> dict[str, nn.Module]:
    """The named layer, or all linear ones.

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


@contextmanager
def recorded_calls(layers: Mapping[str, nn.Module]) -> Iterator[list[Call]]:
    """The calls of these layers while open, in order, on the way to the loss."""
    calls: list[Call] = []

    def record(name: str, inputs: tuple[Tensor, ...], z: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not z.requires_grad:  # all is frozen up to here
            z = z.detach().requires_grad_()
        calls.append((name, inputs[0], z))
        return z.clone()  # what follows may work in place

    hooks = [
        module.register_forward_hook(lambda _, inputs, z, name=name: record(name, inputs, z))
        for name, module in layers.items()
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def choose(loss: Tensor, layer: nn.Module, calls: list[Call], y: Any) -> str:
    """The first way that holds for a layer, tried on a batch by its gradients and products.

    Raises ValueError where none does, with the reason.
    """
    if isinstance(layer, nn.Linear) and len(calls) == 1:
        _, phi, z = calls[0]
        if _through_z_alone(loss, layer.weight, phi, z):
            if _is_softmax(loss, z, y):
                return CLOSED
            if z.shape[-1] <= WIDEST and _rows_apart(loss, z):
                return EXACT
    return SIGNS


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


def the_call(calls: list[Call], name: str) -> Call:
    """The one call of a layer. Raises ValueError where it had none, or several."""
    ours = [call for call in calls if call[0] == name]
    if len(ours) != 1:
        raise ValueError(
            f"FAM found layer {name!r} called once a pass. Now it was called {len(ours)} times. "
            "Set `draws` for random signs, which do not mind."
        )
    return ours[0]


def closed(weight: Tensor, phi: Tensor, z: Tensor, y: Any, form: str, create_graph: bool) -> Tensor:
    """κ or κ̂ of a softmax head, shape ()."""
    phi, z = (precise(t).flatten(0, -2) for t in (phi, z))
    if not create_graph:
        phi, z = phi.detach(), z.detach()
    measure = flatness.kappa if form == "kappa" else flatness.kappa_hat
    return measure(phi, z.softmax(1), precise(weight), _shares(y, phi))


def signed(loss: Tensor, weight: Tensor, form: str, draws: int, create_graph: bool) -> Tensor:
    """Mean of `draws` samples of κ or κ̂, shape (); signs from torch's generator of the CPU."""
    d, m = weight.flatten(1).shape
    shape = (m if form == "kappa" else d, m)
    signs = (2 * torch.randint(0, 2, shape, dtype=torch.int8) - 1 for _ in range(draws))
    samples = [flatness.signed(loss, weight, Z.to(weight), form, create_graph) for Z in signs]
    return torch.stack(samples).mean()


def _shares(y: Any, rows: Tensor) -> Tensor | float:
    """How much each row counts, (n,), on average 1: nothing where its label is ignored."""
    if not isinstance(y, Tensor) or y.is_floating_point() or y.numel() != len(rows):
        return 1.0
    counted = (y.flatten() != -100).to(rows)
    return counted / counted.mean()


def _through_z_alone(loss: Tensor, weight: Tensor, phi: Tensor, z: Tensor) -> bool:
    """Whether W reaches the loss through z = W φ + b only: ∂L/∂W = Σ_i g_i φ_iᵀ."""
    (g,) = torch.autograd.grad(loss, z, retain_graph=True, allow_unused=True)
    if g is None:
        return False
    if not weight.requires_grad:
        return True  # frozen: there is nothing to compare, and nothing that would move
    (found,) = torch.autograd.grad(loss, weight, retain_graph=True, materialize_grads=True)
    g, phi = g.flatten(0, -2), phi.flatten(0, -2)
    scale = (precise(g).norm(dim=1) * precise(phi).norm(dim=1)).sum()
    allowed = 100 * torch.finfo(z.dtype).eps * scale
    return bool((precise(found) - precise(g.T @ phi)).norm() <= allowed)


def _is_softmax(loss: Tensor, z: Tensor, y: Any) -> bool:
    """Whether the loss's Hessian in z is that of mean softmax cross-entropy, by one product:
    H u = p∘u - p⟨p, u⟩ for each row, over n.
    """
    u = _gaussians(z)
    found = precise(flatness.product(flatness.gradient(loss, z), z, u, False)).flatten(0, -2)
    rows, u = precise(z.detach()).flatten(0, -2), precise(u).flatten(0, -2)
    p = rows.softmax(1)
    shares = _shares(y, rows)
    shares = shares[:, None] if isinstance(shares, Tensor) else shares
    expected = shares / len(rows) * (p * u - p * (p * u).sum(1, keepdim=True))
    eps = torch.finfo(z.dtype).eps
    rounding = 8 * torch.finfo(p.dtype).eps * u.norm() / len(rows)  # where all rows are saturated
    return bool((found - expected).norm() <= min(0.02, 3 * eps**0.5) * expected.norm() + rounding)


def _rows_apart(loss: Tensor, z: Tensor) -> bool:
    """Whether the loss sees each row of z by itself: H(r ⊙ v) = r ⊙ Hv, with one random sign r for
    each row and random v.

    Raises ValueError where Hv is zero.
    """
    g, v = flatness.gradient(loss, z), _gaussians(z)
    r = _gaussians(z[..., :1], seed=1).sign()
    apart, together = (flatness.product(g, z, u, False) for u in (r * v, v))
    if not together.any():
        raise ValueError(
            "FAM needs a loss that is curved in the layer's output. This one is linear there, "
            "so its relative flatness is 0 whatever the weights. Name another layer in `layer`."
        )
    allowed = 3 * torch.finfo(z.dtype).eps ** 0.5 * together.norm()
    return bool((apart - r * together).norm() <= allowed)


def _gaussians(like: Tensor, seed: int = 0) -> Tensor:
    """From a generator of its own: a try must not shift what a pass draws."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).to(like)
