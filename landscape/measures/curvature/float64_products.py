"""Products of a curvature matrix in float64 at float32 weights."""

import torch
from torch import Tensor

from landscape.measures.curvature.operator import Operator
from landscape.network.higher_order import DoubleBackward, second_derivatives
from landscape.objective.empirical_risk import Terms


class NoFloat64(RuntimeError):
    """The network's curvature has no products in float64."""


def float64_products(operator: Operator, vectors: Tensor) -> Tensor:
    """H64 X (m, k) float64 for X (m, k): the network, its data and its arithmetic in float64 at the
    same weights, batch by batch.

    One graph of each batch serves all columns. Beside the products there is a float64 copy of the
    weights, of the buffers and of one batch at a time; the model stays as it is.

    Raises NoFloat64 where products are finite differences, or where the network cannot run in
    float64.
    """
    if operator.products == "finite differences":
        raise NoFloat64("Finite differences have an error of their own.")
    try:
        products = operator.objective.retry_on_oom(lambda: _products(operator, vectors))
    except Exception as error:  # of any kind: it is the model's own
        raise NoFloat64("The network cannot run in float64.") from error
    if not bool(torch.isfinite(products).all()):
        raise NoFloat64("Products in float64 are not finite.")
    operator.count += vectors.shape[1]
    return products


def _products(operator: Operator, vectors: Tensor) -> Tensor:
    risk, block = operator.objective.risk.in_float64(), operator.block
    leaf = block.read(risk.w).requires_grad_()
    risk.ranks.note(vectors)

    def of_group(group: Terms) -> Tensor:
        product = operator.build(risk, group, leaf)
        return torch.stack([product(v.double()) for v in vectors.unbind(1)], 1)

    with second_derivatives(), DoubleBackward(), risk.opened(block.parameters(risk.w, leaf)):
        return risk.total(map(of_group, risk.groups))
