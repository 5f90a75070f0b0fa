"""Fisher matrices: of the model's own labels ("fisher") and of the data's ("empirical-fisher").

The true one is E_x E_{y~p} ∇ℓ ∇ℓᵀ. For a negative log-likelihood whose curvature in the model's
output z does not depend on the label it is the Gauss-Newton matrix Jᵀ H_z J: one code path serves
both (Martens, JMLR 2020, arXiv 1412.1193). The empirical one, the mean of ∇ℓ_i ∇ℓ_iᵀ over the
examples, is no curvature away from a fitted model (Kunstner, Hennig & Balles, NeurIPS 2019, arXiv
1905.12558).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.curvature.gauss_newton import ThroughOutputs, cut_pass
from landscape.network.batch import Batch
from landscape.network.higher_order import second_derivatives
from landscape.objective.curvature_products import Product
from landscape.objective.derivative import total
from landscape.objective.empirical_risk import EmpiricalRisk, Terms


def empirical_fisher(risk: EmpiricalRisk, terms: Terms, leaf: Tensor) -> Product:
    """v ↦ Σ_i share_i ∇ℓ_i (∇ℓ_i · v) by two backward passes, without gradients of one example.

    An example is a row of the batch: of a language model a sequence, not a token. With the rows
    r_i = ∂ℓ_i/∂z the product is Jᵀ r (rᵀ J v), row by row. Batch statistics couple the rows of J;
    this form at the output is then what is computed.

    Raises ValueError where Gauss-Newton does not exist, and for outputs without a row per example.
    """
    products = [_of_one_batch(risk, *term, leaf) for term in terms if term[1] > 0]
    return lambda v: total(product(v) for product in products)


def _of_one_batch(risk: EmpiricalRisk, batch: Batch, fraction: float, leaf: Tensor) -> Product:
    loss, outputs, cuts = cut_pass(risk, [(batch, fraction)], leaf)
    if not cuts:  # nothing that the model returns depends on the block
        return torch.zeros_like
    slopes = _rows(torch.autograd.grad(loss, cuts, materialize_grads=True), batch.size)

    def bend(pushed: Sequence[Tensor]) -> Sequence[Tensor]:
        along = row_sums(slopes, pushed) * (batch.size / fraction)
        return [s * along.view(-1, *[1] * (s.dim() - 1)) for s in slopes]

    return ThroughOutputs(outputs, outputs, leaf, bend, sum(s.nbytes for s in slopes))


def _rows(slopes: tuple[Tensor, ...], examples: int) -> tuple[Tensor, ...]:
    if any(s.dim() == 0 or len(s) != examples for s in slopes):
        raise ValueError(
            f"A Fisher matrix needs a model that returns a row for each of the "
            f"{examples} examples. Got {', '.join(str(tuple(s.shape)) for s in slopes)}."
        )
    return slopes


def row_sums(rows: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """Σ over outputs and places of rows · others, a number for each example (examples,)."""
    return total((a * b).flatten(1).sum(1) for a, b in zip(rows, others, strict=True))


def check_mean_over_rows(risk: EmpiricalRisk) -> None:
    """Check on three rows of each batch that its loss is the mean of what each costs by itself.

    A row is given twice, since batch norm over a batch takes none of one example.
    Raises ValueError where it is not: the loss of one example is then unknown.
    """
    for batch, _ in risk.terms:
        _check_mean(risk, batch)


def _check_mean(risk: EmpiricalRisk, batch: Batch) -> None:
    outputs, slopes = _at_outputs(risk, batch)
    for i in sorted({0, batch.size // 2, batch.size - 1}):
        row = torch.tensor([i, i], device=risk.device)
        try:
            _, alone = _at_outputs(risk, batch.rows(row), [z[row] for z in outputs])
        except RuntimeError as error:
            _at_outputs(risk, batch)  # raises anew where the model fails on whole batches, too
            raise ValueError(
                "A Fisher matrix of the data needs a model that takes examples by themselves. This "
                f"one does not: {str(error).strip().splitlines()[0]}."
            ) from error
        if not all(
            _agree(2 * of_row[0], batch.size * of_batch[i])
            for of_batch, of_row in zip(slopes, alone, strict=True)
        ):
            raise ValueError(
                "The empirical Fisher matrix needs a loss that is the mean over the examples of a "
                "batch. This one weights them, leaves some out or adds them up: use "
                'curvature="gauss-newton".'
            )


def check_label_free(risk: EmpiricalRisk) -> None:
    """Check that the loss curves alike in the model's output whatever the label.

    In each batch the outputs change places among the examples, while the labels stay; then all
    labels change, which examples of one label need.
    Raises ValueError where it does not: the Gauss-Newton matrix is then no Fisher matrix.
    """
    curves = [_curves_alike(risk, batch) for batch, _ in risk.terms]
    if not any(curves):
        raise ValueError(
            'curvature="fisher" needs a loss that curves in the model\'s output. This one is '
            'linear in it: use "empirical-fisher".'
        )


def _curves_alike(risk: EmpiricalRisk, batch: Batch) -> bool:
    """Tell if the loss curves at all, after the check of one batch."""
    outputs, _ = _at_outputs(risk, batch)
    directions = [next(probes.gaussians(z.flatten(), 1, 0)).view_as(z) for z in outputs]
    here = _at_outputs(risk, batch, outputs, directions)[1]
    there = _at_outputs(risk, batch, _rolled(outputs), _rolled(directions))[1]
    agree, other = all(map(_agree, _rolled(here), there)), relabelled(batch, outputs)
    if other is not None:
        agree &= all(map(_agree, here, _at_outputs(risk, other, outputs, directions)[1]))
    elif batch.size == 1:
        raise ValueError(
            'curvature="fisher" needs a loss that curves alike whatever the label, which a batch '
            "of one example does not show: give larger batches."
        )
    if not agree:
        raise ValueError(
            'curvature="fisher" needs a loss that curves alike in the model\'s output whatever the '
            "label, as cross-entropy of logits and squared error do, over examples of one weight. "
            'Use "gauss-newton" or "empirical-fisher".'
        )
    return any(bool(t.any()) for t in here)


def relabelled(batch: Batch, outputs: Sequence[Tensor]) -> Batch | None:
    """The batch with every label changed, ignored ones left; None where labels are no tensor, or no
    output says how many classes there are.
    """
    y = batch.y
    if not isinstance(y, Tensor):
        return None
    if y.is_floating_point():
        shares = bool(((y >= 0) & (y <= 1)).all())
        other = (y < 0.5).to(y) if shares else y + 1
    else:
        classes = [count for z in outputs if (count := _classes(z, y)) is not None]
        if not classes:
            return None
        k = min(classes)
        other = torch.where((y >= 0) & (y < k), (y + 1) % k, y)
    x = batch.x
    if isinstance(x, Mapping):
        x = {key: other if value is y else value for key, value in x.items()}
    return replace(batch, x=x, y=other)


def _classes(z: Tensor, y: Tensor) -> int | None:
    """Number of classes of outputs z (n, ..., K) or (n, K, ...) for labels y (n, ...)."""
    if z.dim() > 1 and z.shape[:-1] == y.shape and z.shape[-1] > 1:
        return z.shape[-1]
    if z.dim() > 1 and (*z.shape[:1], *z.shape[2:]) == y.shape and z.shape[1] > 1:
        return z.shape[1]
    return 2 if z.numel() == y.numel() else None


def _at_outputs(
    risk: EmpiricalRisk,
    batch: Batch,
    at: list[Tensor] | None = None,
    along: list[Tensor] | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs z of a batch and ∂loss/∂z, with z replaced by `at` if given; with `along`,
    the derivative of ∂loss/∂z along it in place of ∂loss/∂z.
    """
    leaf = risk.w.clone().requires_grad_()
    with second_derivatives(), risk.opened(leaf):
        loss, outputs, cuts = cut_pass(risk, [(batch, 1.0)], leaf)
        if at is not None:
            moves = [target - z.detach() for target, z in zip(at, outputs, strict=True)]
            loss, _, cuts = cut_pass(risk, [(batch, 1.0)], leaf, moves)
        slopes = torch.autograd.grad(loss, cuts, create_graph=True, materialize_grads=True)
        _rows(slopes, batch.size)
        if along is not None:
            slopes = curved(slopes, cuts, along)
    return [z.detach() for z in outputs], [s.detach() for s in slopes]


def curved(
    slopes: Sequence[Tensor], cuts: Sequence[Tensor], along: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """H_z u from the slopes ∂loss/∂z and u; zeros where the loss is linear in all outputs."""
    bent = [i for i, s in enumerate(slopes) if s.requires_grad]
    if not bent:
        return tuple(map(torch.zeros_like, cuts))
    return torch.autograd.grad(
        [slopes[i] for i in bent], cuts, [along[i] for i in bent], retain_graph=True,
        materialize_grads=True,
    )  # fmt: skip


def _rolled(rows: list[Tensor]) -> list[Tensor]:
    return [t.roll(1, 0) for t in rows]


def _agree(a: Tensor, b: Tensor) -> bool:
    close = 10 * torch.finfo(a.dtype).eps ** 0.5
    return bool((a - b).norm() <= close * (a.norm() + b.norm()))
