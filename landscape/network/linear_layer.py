"""A linear layer inside a network, and what the loss makes of its outputs z = W φ + b.

A layer is an nn.Linear or a convolution. One of its calls maps n examples with P positions each
(tokens, pixels; 1 where there are none): inputs φ (n, P, m), outputs z (n, P, d), weight W (d, m).
In a convolution φ is the patch under the kernel and m is channels times kernel size.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape.network import flatness
from landscape.network.batch import Batch, LossFn, logits_in
from landscape.network.filters import is_conv1d
from landscape.network.flatness import precise, pullback

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Call(NamedTuple):
    """Call of a layer: its name, its input as given, and its output z (n, P, d) on the way to the
    loss. Both are empty, (0,), inside of torch.func.vmap and its like, which no tensor may leave.
    """

    name: str
    x: Tensor
    z: Tensor

    @property
    def is_inside(self) -> bool:
        """Test whether the call was made inside of a transformation by torch.func."""
        return self.z.dim() == 1


@contextmanager
def recorded_calls(layers: Mapping[str, nn.Module]) -> Iterator[list[Call]]:
    """The calls of these layers while open, in order, on the way to the loss."""
    calls: list[Call] = []

    def record(
        name: str, args: tuple[Tensor, ...], named: Mapping[str, Tensor], output: Tensor
    ) -> Tensor:
        if torch._C._are_functorch_transforms_active():
            calls.append(Call(name, torch.empty(0), torch.empty(0)))
            return output
        axis = output_axis(layers[name])
        d = output.shape[axis]
        if axis == -1:
            z = output.reshape(len(output) if output.dim() > 1 else 1, -1, d)
        else:
            z = output.reshape(-1, d, output.shape[axis + 1 :].numel()).mT
        if torch.is_grad_enabled() and not z.requires_grad:  # all is frozen up to here
            z = z.detach().requires_grad_()
        calls.append(Call(name, args[0] if args else named["input"], z))
        z = z if axis == -1 else z.mT
        return z.reshape(output.shape).clone()  # what follows may work in place

    hooks = [
        module.register_forward_hook(
            lambda _, args, named, output, name=name: record(name, args, named, output),
            with_kwargs=True,
        )
        for name, module in layers.items()
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


EMPTY = "Relative flatness needs a layer with weights: name another in `layer`."


def is_empty(layer: nn.Module) -> bool:
    """Test whether a linear layer or convolution has a weight without entries."""
    weight = layer._parameters.get("weight")  # one that is computed is not asked for
    return weight is not None and not weight.numel()


def output_axis(layer: nn.Module) -> int:
    """Return the axis of the outputs in what a layer gives, and of the inputs in what it takes."""
    if isinstance(layer, nn.Linear) or is_conv1d(layer):
        return -1
    return -1 - len(layer.kernel_size)  # type: ignore[arg-type]


def applied(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a linear layer or convolution to x, with this weight in place of its own."""
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, bias)
    return layer._conv_forward(x, weight, bias)  # the one place that knows all padding modes


def norms(layer: Any, x: Tensor) -> Tensor:
    """‖φ‖, (n, P, 1)."""
    if isinstance(layer, nn.Linear):
        return x.norm(dim=-1).reshape(len(x) if x.dim() > 1 else 1, -1, 1)
    squares = applied(layer, x.square(), x.new_ones(1, *layer.weight.shape[1:]))
    return squares.sqrt().reshape(-1, squares.shape[-len(layer.kernel_size) :].numel(), 1)


def patches(layer: Any, x: Tensor) -> Tensor:
    """φ, (n, P, m): the outputs of the layer whose W is the identity."""
    if isinstance(layer, nn.Linear):
        return x.reshape(len(x) if x.dim() > 1 else 1, -1, x.shape[-1])
    shape = layer.weight.shape[1:]
    m = shape.numel()
    unfolded = applied(layer, x, torch.eye(m, dtype=x.dtype, device=x.device).view(m, *shape))
    return unfolded.reshape(-1, m, unfolded.shape[-len(shape) + 1 :].numel()).mT


def through_outputs_alone(loss: Tensor, layer: Any, call: Call) -> bool:
    """Test if the weight W reaches the loss only through the outputs z = W φ + b of this call, with
    φ that do not depend on W: ∂L/∂W = Σ_i g_i φ_iᵀ to rounding, and exactly 0 where g, the gradient
    by z, is held at 0.
    """
    z, weight = call.z, layer.weight
    if not z.requires_grad:  # called where no graph was made
        return False
    (g,) = torch.autograd.grad(loss, z, retain_graph=True, allow_unused=True)
    if g is None:
        return False
    if not weight.requires_grad:
        return True  # frozen: there is nothing to compare, and nothing that would move
    around = z.register_hook(torch.zeros_like)
    try:
        (rest,) = torch.autograd.grad(loss, weight, retain_graph=True, materialize_grads=True)
    finally:
        around.remove()
    (found,) = torch.autograd.grad(loss, weight, retain_graph=True, materialize_grads=True)
    alone = weight.detach().requires_grad_()
    with torch.enable_grad():
        output = applied(layer, call.x.detach().to(alone), alone)  # z may come from an autocast
    back = g if output_axis(layer) == -1 else g.mT
    expected = pullback(output, alone, back.reshape(output.shape))
    scale = precise(g).norm(dim=-1, keepdim=True) * norms(layer, precise(call.x.detach()))
    allowed = 100 * torch.finfo(z.dtype).eps * scale.sum()
    return not rest.any() and bool((precise(found) - precise(expected)).norm() <= allowed)


def is_softmax(loss: Tensor, z: Tensor, y: Any) -> bool:
    """Test by one product if the loss's Hessian in z is that of mean softmax cross-entropy:
    H u = p∘u - p⟨p, u⟩ for each row, over n.
    """
    u = _gaussians(z)
    found = precise(flatness.product(flatness.gradient(loss, z), z, u, False)).flatten(0, -2)
    rows, u = precise(z.detach()).flatten(0, -2), precise(u).flatten(0, -2)
    p = rows.softmax(1)
    weights = example_weights(y, rows)
    weights = weights[:, None] if isinstance(weights, Tensor) else weights
    expected = weights / len(rows) * (p * u - p * (p * u).sum(1, keepdim=True))
    eps = torch.finfo(z.dtype).eps
    rounding = 8 * torch.finfo(p.dtype).eps * u.norm() / len(rows)  # where all rows are saturated
    return bool((found - expected).norm() <= min(0.02, 3 * eps**0.5) * expected.norm() + rounding)


def example_weights(y: Any, rows: Tensor) -> Tensor | float:
    """Weight of each row, (n,), 1 on average; 0 if its label is ignored."""
    if not isinstance(y, Tensor) or y.is_floating_point() or y.numel() != len(rows):
        return 1.0
    counted = (y.flatten() != -100).to(rows)
    return counted / counted.mean()


def apart(loss: Tensor, z: Tensor, shape: tuple[int, ...]) -> bool:
    """Test whether the loss treats parts of z (n, P, d) separately: rows with shape (n, P, 1),
    examples with (n, 1, 1).

    Tried by H(r ∘ v) = r ∘ Hv, with random v and one random number r for each part.
    """
    g, v, r = flatness.gradient(loss, z), _gaussians(z), _gaussians(z.new_empty(shape), seed=1)
    alone, together = (flatness.product(g, z, u, False) for u in (r * v, v))
    allowed = 3 * torch.finfo(z.dtype).eps ** 0.5 * together.norm()
    return bool((alone - r * together).norm() <= allowed)


def curved(loss: Tensor, z: Tensor) -> bool:
    """Test whether the loss has any second derivative in z."""
    return bool(flatness.product(flatness.gradient(loss, z), z, _gaussians(z), False).any())


def _gaussians(like: Tensor, seed: int = 0) -> Tensor:
    """From a generator of its own: a try must not shift what a pass draws."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).to(like)


@contextmanager
def answers_of(model: nn.Module) -> Iterator[list[Any]]:
    """While open, what the model answers is put into the list."""
    answers: list[Any] = []
    hook = model.register_forward_hook(lambda _module, _x, answer: answers.append(answer))
    try:
        yield answers
    finally:
        hook.remove()


def logits_of(model: nn.Module, batch: Batch, loss: LossFn) -> Tensor:
    """The classifier's logits, classes last: its answer to x, or `.logits` (n, classes) of it.

    How a mapping or a tuple is passed is known to the loss alone: there it is the answer that the
    loss gets.

    Raises ValueError where that is no tensor.
    """
    if not isinstance(batch.x, Tensor):
        with answers_of(model) as answers:
            loss(model, batch)
        answer = answers[0] if len(answers) == 1 else answers
    else:
        answer = model(batch.x)
    z = logits_in(answer)
    if not isinstance(z, Tensor):
        raise ValueError(
            "This method needs logits, a tensor with the classes last, and the model answers with "
            f"a {type(z).__name__}. Give `logits`: (model, batch) -> logits."
        )
    return z
