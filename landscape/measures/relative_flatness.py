"""Relative flatness of a linear layer W: Petzka et al., NeurIPS 2021 (arXiv 2001.00939).

    κ = Σ_{s,s'} ⟨w_s, w_s'⟩ tr H_{s,s'}        κ̂ = ‖W‖² tr H

w_s: row s of W (d, m), the weights into output s; H_{s,s'} (m, m): second derivatives of L by rows
s and s'. The first of these ways that applies is taken:

* softmax head with cross-entropy: closed form, see `landscape.network.flatness`;
* the weight reaches the loss through z = W φ + b of one call, and examples do not see each other
  after it: tr H_{s,s'} = Σ_i Σ_{p,p'} ⟨φ_ip, φ_ip'⟩ ∂²L/∂z_ips ∂z_ip's' over examples i and
  positions p (tokens, pixels), exact whatever the loss. It costs d products with the Hessian at z
  where positions do not see each other either, else P d;
* any other layer: κ = E⟨W Z, H[W Z]⟩ and κ̂ = ‖W‖² E⟨Z, H[Z]⟩ over random signs Z.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from landscape.measures.context import Progress, refuse_reestimated, shows_progress, signature
from landscape.measures.flatness.layer import LinearLayer, deviations, find
from landscape.measures.flatness.random_signs import by_signs, inverse
from landscape.network import flatness
from landscape.network.higher_order import (
    NoSecondDerivative,
    has_custom_functions,
    second_derivatives,
)
from landscape.network.linear_layer import (
    Call,
    apart,
    example_weights,
    is_softmax,
    norms,
    patches,
    recorded_calls,
    through_outputs_alone,
)
from landscape.objective.objective import Objective
from landscape.records import RelativeFlatnessRecord
from landscape.utils import checks

CLOSED, EXACT = "softmax head, closed form", "output Hessian, exact"
CHECKS = 3  # products at the output that tell whether an exact way holds


@dataclass(frozen=True)
class RelativeFlatness:
    """Relative flatness κ, and its simplified form κ̂, of one linear layer or convolution.

    Both have the unit of the loss. `estimator` in the record names the way it was computed.

    layer: module name; by default the nn.Linear that is called last, the head. A convolution is
    treated as a linear layer on its patches, m = input channels times kernel size.
    normalize_features: divide each feature by its standard deviation on the data and multiply its
    column of W by the same number, as Petzka et al. measured. The function does not change, and
    both numbers become independent of the scale of single features. A constant feature is divided
    by its absolute value, a dead one is ignored; the features of a convolution are its channels.
    max_products: largest number of products per batch, with the Hessian at the layer's output, for
    which an exact way is taken; 0 always samples.
    draws, seed: number and seed of the random signs otherwise; each costs one product for κ and one
    for κ̂.

    Defaults are the project's own. κ of a hidden layer with smooth activations can be negative.
    Raises ValueError for settings out of range, and for layers without a relative flatness: of
    another kind, empty, frozen, grouped, or with weights computed from other parameters; for
    normalised features of a layer that is called inside of torch.func.vmap.

    Differs from the authors' code: a feature without variance does not divide by zero; the trace is
    that of the loss as given, without weight decay.

    Example: L(w) = (9 w₁² + w₂²)/2 at w = (1, 2): κ = ‖w‖² tr H = 5 · 10.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[1.0, 2.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> round(ls.measures.RelativeFlatness()(objective).value, 3)
    50.0
    """

    layer: str | None = None
    normalize_features: bool = False
    max_products: int = 1024
    draws: int = 100
    seed: int = 0

    over_ranks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.typed(self)
        if self.draws < 2:
            raise ValueError(f"`draws` must be at least 2. Got {self.draws}.")
        checks.non_negative(max_products=self.max_products)

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> RelativeFlatnessRecord:
        """Compute κ and κ̂ at the objective's point; `progress` counts batches, or draws."""
        refuse_reestimated(objective, "Relative flatness")
        retry = objective.retry_on_oom
        layer = retry(lambda: find(objective, self.layer))
        scale = retry(lambda: deviations(objective, layer)) if self.normalize_features else None
        answer = retry(lambda: exactly(objective, layer, scale, self.max_products, progress))
        if answer is None:
            answer = by_signs(objective, layer, scale, self.draws, self.seed, progress)
        return RelativeFlatnessRecord(
            **answer,
            layer=layer.name,
            **signature(self, objective),
        )


def exactly(
    objective: Objective,
    layer: LinearLayer,
    scale: Tensor | None,
    max_products: int,
    progress: Progress | None = None,
) -> dict[str, Any] | None:
    """Compute κ and κ̂ exactly; None where no exact way applies within `max_products`.

    scale: (features,) float64, the factor of each column of W; None for 1.
    """
    if not max_products or layer.transposed:
        return None
    answers = _by_batch(objective, layer, scale, max_products, progress)
    ranks = objective.ranks
    if not ranks.all(answers is not None):
        return None
    assert answers is not None
    ways, products, pairs, fractions = zip(*answers, strict=True)
    total = ranks.sum(pairs[0].new_tensor(fractions) @ torch.stack(pairs))
    value, simplified = total.tolist()
    return {
        "value": value,
        "simplified": simplified,
        "stderr": 0.0,
        "simplified_stderr": 0.0,
        "estimator": CLOSED if ranks.all(set(ways) == {CLOSED}) else EXACT,
        "hvps": sum(ranks.gather(sum(products))),
    }


def _by_batch(
    objective: Objective,
    layer: LinearLayer,
    scale: Tensor | None,
    max_products: int,
    progress: Progress | None,
) -> list[tuple[str, int, Tensor, float]] | None:
    """The answer of `_of_batch` for each batch of this rank, with its weight fraction; None where
    one has no exact way.
    """
    risk, answers = objective.risk, []
    leaf, watched = objective.w.requires_grad_(), {layer.name: layer.module}
    with risk.opened(leaf), recorded_calls(watched) as calls:
        for batch, fraction in risk.terms:
            calls.clear()
            loss = risk.batch_loss(batch)
            try:
                with second_derivatives():
                    answer = _of_batch(loss, layer, calls, batch.y, scale, max_products)
            except NoSecondDerivative:
                return None
            if answer is None:
                return None
            answers.append((*answer, fraction))
            if progress is not None:
                progress(len(answers), len(risk.terms))
    return answers


def _of_batch(
    loss: Tensor,
    layer: LinearLayer,
    calls: list[Call],
    y: Any,
    scale: Tensor | None,
    max_products: int,
) -> tuple[str, int, Tensor] | None:
    """The way, its products, and κ and κ̂ of one batch's loss, (2,) float64; None for no way."""
    if len(calls) != 1 or has_custom_functions(loss):
        return None
    if not through_outputs_alone(loss, layer.module, calls[0]):
        return None
    x, z = calls[0].x.detach().double(), calls[0].z
    W = layer.matrix(layer.module.weight).detach().double()
    if scale is not None:
        x, W = layer.scale(x, inverse(scale)), W * layer.columns(scale)
    (n, positions, d), forms = z.shape, ("kappa", "kappa_hat")
    if is_softmax(loss, z, y):
        phi, p = norms(layer.module, x).flatten(0, 1), z.detach().double().flatten(0, 1).softmax(1)
        counts = example_weights(y, p)
        pair = [f(phi, p, W, counts) for f in (flatness.kappa, flatness.kappa_hat)]
        return CLOSED, 1, torch.stack(pair)
    if d <= max_products and apart(loss, z, (n, positions, 1)):
        T = flatness.output_traces(loss, norms(layer.module, x), z, create_graph=False)
        products = CHECKS + d
    elif 1 < positions <= max_products / d and apart(loss, z, (n, 1, 1)):
        T = flatness.position_traces(loss, patches(layer.module, x), z)
        products = CHECKS + 2 + positions * d
    else:
        return None
    if (T - T.T).norm() > 3 * torch.finfo(z.dtype).eps ** 0.5 * T.norm():
        return None  # products with the Hessian of the weight are made in more than one way
    return EXACT, products, torch.stack([flatness.of_traces(T, W, form) for form in forms])
