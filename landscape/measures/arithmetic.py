"""How far Hessian-vector products are off by rounding, which no residual shows.

Rounding acts like a small change of the weights: the product is repeated at w·(1 + eps·ξ), ξ
Gaussian, eps the spacing of the arithmetic. On trained ReLU networks this found the error of
float32 products against float64 within a factor of two, kinks that rounding crosses included.
"""

import torch
from torch import Tensor

from landscape.linalg import probes
from landscape.objective import Objective

REPEATS = 3
SAFETY = 2.0


def product_error(objective: Objective, vectors: Tensor, seed: int = 0) -> float:
    """Estimate of ‖Ĥv - Hv‖ for each unit column v of `vectors`, (n, k): one number for all.

    One product with a random signed sum of the columns, whose error is on average at least that of
    each, at w and at three rounded neighbours: 4 products, 3 graphs.
    """
    w = objective.w
    (signs,) = probes.signs(w.new_empty(vectors.shape[1]), 1, seed)
    mixed = vectors @ signs
    product = objective.hvp(mixed)
    eps = torch.finfo(w.dtype).eps
    neighbours = (w * (1 + eps * xi) for xi in probes.gaussians(w, REPEATS, seed))
    return SAFETY * max(float((objective.hvp(mixed, at) - product).norm()) for at in neighbours)
