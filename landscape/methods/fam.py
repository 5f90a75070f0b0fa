"""FAM, relative flatness aware minimisation: Adilova et al., PMLR 221, 2023.

arXiv 2307.02337. The measure: Petzka et al., NeurIPS 2021.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from landscape.batch import Batch, LossFn
from landscape.methods import checks
from landscape.walker import Walker

FORMS = ("kappa", "kappa_hat")
GRADIENTS = ("full", "frozen")


@dataclass
class FAM:
    """Descend along the loss plus λ times the relative flatness of the softmax head: L + λ κ(W).

    W (classes, m) the head's weights, H its block of the Hessian, φ (m,) its input, p = softmax:
    κ = Σ_{s,s'} ⟨w_s, w_s'⟩ tr H_{s,s'} = mean_i ‖φ_i‖² · (variance of the rows of W under p_i),
    κ̂ = ‖W‖² tr H = ‖W‖² mean_i ‖φ_i‖² (1 - ‖p_i‖²).

    lam: λ, of κ itself (0.1/64: the code's 0.1 for CIFAR-10 multiplies κ/m, and m is 64 there).
    layer: module name of the head; None is the last linear layer that the forward pass calls.
    form: the measure: "kappa" (the paper's) or "kappa_hat".
    gradient: "full", through φ and p into all layers, or "frozen", tr H held constant: it then
    moves W alone.
    warmup: steps over which λ grows linearly from 0, by the walker's count of steps.

    The loss must be the mean cross-entropy of the softmax of that layer's output, smoothed or not;
    this is checked on the first batch. Logs loss (without the penalty) and kappa.

    Cost: 1 pass a step.

    Raises ValueError for settings outside these, an unknown layer, a head of another kind.

    Differs from the authors' code:
    - the released loop reads the Hessian in another index order than it is stored in.
    - it cuts the gradient through the Hessian: that is "frozen"; the paper's formula is "full".
    - it divides by m; it runs a second forward pass, which moves batch norm twice.
    """

    lam: float = 0.1 / 64
    layer: str | None = None
    form: str = "kappa"
    gradient: str = "full"
    warmup: int = 0
    no_rule: ClassVar[str] = "it penalises and perturbs nothing"

    checked: nn.Module | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        checks.non_negative(lam=self.lam)
        checks.one_of(FORMS, form=self.form)
        checks.one_of(GRADIENTS, gradient=self.gradient)
        checks.whole(0, warmup=self.warmup)

    def step(self, walker: Walker, batch: Batch) -> None:
        """One step on one batch."""
        walker.descend(walker.grad(batch, loss=self._penalised(walker)))

    def _penalised(self, walker: Walker) -> LossFn:
        lam = self.lam
        if self.warmup:
            lam *= min(1.0, walker.step_index / self.warmup)

        def loss(model: nn.Module, batch: Batch) -> Tensor:
            with recorded_calls(linear_layers(model, self.layer)) as calls:
                plain = walker.loss(model, batch)
            head, phi, z = the_head(calls)
            if self.checked is not head:
                refuse_other_losses(plain, z)
                self.checked = head
            kappa = self._flatness(head.weight, phi, z)
            walker.log(loss=plain.detach(), kappa=kappa.detach())
            return plain + lam * kappa

        return loss

    def _flatness(self, weight: Tensor, phi: Tensor, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):  # κ is small where it matters
            phi, z = (precise(t).flatten(0, -2) for t in (phi, z))
            if self.gradient == "frozen":
                phi, z = phi.detach(), z.detach()
            measure = kappa if self.form == "kappa" else kappa_hat
            return measure(precise(weight), phi, z.softmax(-1))


def kappa(weight: Tensor, phi: Tensor, p: Tensor) -> Tensor:
    """Relative flatness of a softmax head, shape (); weight (d, m), phi (n, m), p (n, d).

    The variance is taken about the likeliest class's row, so it stays exact where p saturates.
    """
    top = p.detach().argmax(-1)
    gram = weight @ weight.T
    squares = gram.diagonal()
    distances = squares + squares[top, None] - 2 * gram[top]  # ‖w_s - w_top‖², (n, d)
    shift = p @ weight - weight[top]
    variance = (p * distances).sum(-1) - shift.square().sum(-1)
    return (phi.square().sum(-1) * variance).mean()


def kappa_hat(weight: Tensor, phi: Tensor, p: Tensor) -> Tensor:
    """The simplified measure ‖W‖² tr H, shape (); shapes as in `kappa`."""
    trace = (phi.square().sum(-1) * (p * (1 - p)).sum(-1)).mean()
    return weight.square().sum() * trace


def linear_layers(model: nn.Module, layer: str | None) -> list[nn.Linear]:
    """All linear layers, or the named one."""
    named = {k: m for k, m in model.named_modules() if isinstance(m, nn.Linear)}
    if layer is None:
        return list(named.values())
    if layer not in named:
        raise ValueError(f"`layer` must be a linear layer: {', '.join(named)}. Got {layer!r}.")
    return [named[layer]]


Call = tuple[nn.Linear, Tensor, Tensor]  # the layer, its input and its output


@contextmanager
def recorded_calls(layers: list[nn.Linear]) -> Iterator[list[Call]]:
    """The calls of these layers while open, in order."""
    calls: list[Call] = []

    def record(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append((layer, inputs[0], output))

    hooks = [layer.register_forward_hook(record) for layer in layers]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def the_head(calls: list[Call]) -> Call:
    """The last call, if its layer has no other."""
    if not calls:
        raise ValueError("FAM needs a linear layer that the forward pass calls. Found none.")
    if sum(layer is calls[-1][0] for layer, _, _ in calls) > 1:
        raise ValueError("FAM needs a head that is called once a pass. It was called more often.")
    return calls[-1]


def refuse_other_losses(loss: Tensor, z: Tensor) -> None:
    """Raise ValueError unless the loss's Hessian in z is that of mean softmax cross-entropy.

    One product with it, at the head's output only: H u = p∘u - p⟨p, u⟩ for each row, over n.
    """
    rows = precise(z.detach()).flatten(0, -2)
    p = rows.softmax(-1)
    u = torch.linspace(-1.0, 1.0, rows.shape[-1], dtype=p.dtype, device=p.device).expand_as(p)
    expected = (p * u - p * (p * u).sum(-1, keepdim=True)) / len(p)
    found = torch.zeros_like(expected)
    if loss.requires_grad:
        (g,) = torch.autograd.grad(loss, z, create_graph=True, materialize_grads=True)
        if g.requires_grad:
            (h,) = torch.autograd.grad(
                g, z, u.view_as(z).to(z), retain_graph=True, materialize_grads=True
            )
            found = h.to(p).flatten(0, -2)
    if not (found - expected).norm() <= 0.05 * expected.norm():
        raise ValueError(
            "FAM needs a loss that is the mean cross-entropy of the softmax of the head's output. "
            "Name the layer that gives the logits in `layer=`, or use another method."
        )


def precise(t: Tensor) -> Tensor:
    """At least float32."""
    return t.float() if t.dtype in (torch.float16, torch.bfloat16) else t
