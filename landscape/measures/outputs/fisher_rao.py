"""Fisher-Rao norm: Liang, Poggio, Rakhlin & Stokes, AISTATS 2019 (arXiv 1711.01530)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscape.measures.context import Progress, shows_progress, signature
from landscape.measures.curvature.fisher import (
    check_label_free,
    check_mean_over_rows,
    curved,
    row_sums,
)
from landscape.measures.curvature.gauss_newton import cut_pass
from landscape.measures.curvature.operator import operator
from landscape.network.batch import Batch
from landscape.network.higher_order import (
    SecondOrder,
    has_custom_functions,
    second_derivatives,
)
from landscape.objective.objective import Objective
from landscape.records import FisherRaoRecord
from landscape.records.flatness import mean_and_stderr


@dataclass(frozen=True)
class FisherRao:
    """Squared Fisher-Rao norm ‖w‖² = wᵀF w = E⟨w, ∇ℓ⟩², with labels of the model and of the data.

    By its definition, for any network: v = J w of each example by one derivative along w, then
    vᵀH_z v (of softmax cross-entropy vᵀ(diag p − ppᵀ)v) and, empirical, (r·v)² with r = ∂ℓ/∂z. The
    shortcut by the number of layers holds for networks without biases alone and is not used. All
    trainable parameters take part, biases and normalisation parameters too.

    It does not change where a ReLU network's neurons are rescaled without changing the function.
    Standard errors are over the examples; an example is a row of the batch.

    Cost: about 12 forward passes, the checks of the loss among them.
    Raises ValueError for a loss that is no mean over examples, is linear in the model's output, or
    whose curvature in it depends on the label, and for an autograd.Function whose backward leaves
    torch's operations.

    Example: one logistic example, z = (1, 0): p₁(1 − p₁), and (1 − p₁)² for the label it has.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(1, 2, bias=False)
    >>> model.weight.data = torch.tensor([[1.0], [0.0]])
    >>> batch = ls.Batch(torch.ones(1, 1), torch.tensor([0]))
    >>> loss = lambda model, batch: torch.nn.functional.cross_entropy(model(batch.x), batch.y)
    >>> record = ls.measures.FisherRao()(ls.Objective(model, [batch], loss))
    >>> round(record.value, 4), round(record.empirical, 4)
    (0.1966, 0.0723)
    """

    @shows_progress
    def __call__(
        self, objective: Objective, *, progress: Progress | None = None
    ) -> FisherRaoRecord:
        """Measure at the objective's point; `progress` counts batches."""
        for check in (check_label_free, check_mean_over_rows):
            objective.retry_on_oom(lambda check=check: check(objective.risk))  # type: ignore[misc]
        found = objective.retry_on_oom(lambda: _forms(objective, progress))
        if found is None:
            found = _checked(objective, progress)
        (value, empirical), stderr = mean_and_stderr(*found)
        return FisherRaoRecord(
            value=float(value),
            stderr=float(stderr[0]),
            empirical=float(empirical),
            empirical_stderr=float(stderr[1]),
            **signature(self, objective),
        )


def _checked(objective: Objective, progress: Progress | None) -> tuple[np.ndarray, np.ndarray]:
    """`_forms` of a network or loss with a custom function, held against a product with the matrix.

    Raises ValueError where double backward drops terms, as the product is by differences then.
    """
    matrix, w = operator(objective, "fisher"), objective.w
    if matrix.products == "double backward":
        product = matrix.matvec(w)
        found = objective.retry_on_oom(lambda: _forms(objective, progress, trusted=True))
        allowed = 3 * torch.finfo(w.dtype).eps ** 0.5 * float(product.norm() * w.norm())
        if found is not None and abs(found[0][0] @ found[1] - float(w @ product)) <= allowed:
            return found
    raise ValueError(
        "The Fisher-Rao norm needs double backward, and the model or loss has an autograd.Function "
        "whose backward leaves the operations of torch: terms would be missing without an error. "
        "Write its backward with torch's operations."
    )


def _forms(
    objective: Objective, progress: Progress | None, trusted: bool = False
) -> tuple[np.ndarray, np.ndarray] | None:
    """vᵀH_z v and (r·v)² of each example, (2, N), and the examples' shares (N,).

    None where a custom autograd.Function would be differentiated twice and is not trusted.
    """
    risk = objective.risk
    leaf = risk.w.clone().requires_grad_()
    forms, shares = [], []
    with second_derivatives(), SecondOrder(), risk.opened(leaf):
        for i, (batch, fraction) in enumerate(risk.terms):
            answer = _of_batch(objective, batch, leaf, trusted)
            if answer is None:
                return None
            forms.append(answer.double().cpu())
            shares += [fraction / batch.size] * batch.size
            if progress is not None:
                progress(i + 1, len(risk.terms))
    return torch.cat(forms, 1).numpy(), np.array(shares)


def _of_batch(objective: Objective, batch: Batch, leaf: Tensor, trusted: bool) -> Tensor | None:
    risk = objective.risk
    loss, outputs, cuts = cut_pass(risk, [(batch, 1.0)], leaf)
    if not trusted and any(map(has_custom_functions, (loss, *outputs))):
        return None
    slopes = torch.autograd.grad(loss, cuts, create_graph=True, materialize_grads=True)
    dual = [torch.zeros_like(z, requires_grad=True) for z in outputs]
    (pulled,) = torch.autograd.grad(outputs, leaf, dual, create_graph=True)
    v = torch.autograd.grad(pulled, dual, risk.w, retain_graph=True, materialize_grads=True)
    bent = curved(slopes, cuts, v)
    along = batch.size * row_sums([s.detach() for s in slopes], v)
    return torch.stack([batch.size * row_sums(bent, v), along.square()])
