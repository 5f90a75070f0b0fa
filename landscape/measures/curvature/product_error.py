"""Error of curvature products, which no residual shows.

Rounding acts like a small change of the weights: the product is repeated at w·(1 + eps·ξ), ξ
Gaussian, eps the spacing of the arithmetic. On trained ReLU networks this found the error of
float32 products against float64 within a factor of two, kinks that rounding crosses included.
Finite differences are compared with those of another step.
"""

import torch
from torch import Tensor

from landscape.linalg import probes
from landscape.measures.curvature.operator import Operator

REPEATS = 3
SAFETY = 2.0


def product_error(operator: Operator, vectors: Tensor, seed: int = 0) -> float:
    """Estimate of ‖Ĥv - Hv‖ for each unit column v of `vectors`, (m, k): one number for all.

    One product with a random signed sum of the columns, whose error is on average at least that of
    each, at w and at three rounded neighbours: 4 products, 3 graphs.
    """
    w = operator.objective.w
    (signs,) = probes.signs(w.new_empty(vectors.shape[1]), 1, seed)
    mixed = vectors @ signs
    if operator.products == "finite differences":
        return SAFETY * operator.doubt(mixed)
    product = operator.product(mixed)
    eps = torch.finfo(w.dtype).eps
    neighbours = (w * (1 + eps * xi) for xi in probes.gaussians(w, REPEATS, seed))
    return SAFETY * max(float((operator.product(mixed, at) - product).norm()) for at in neighbours)
