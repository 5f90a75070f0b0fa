"""Relative flatness of any layer by random signs Z, unbiased: κ = E⟨W Z, H[W Z]⟩ with Z (m, m), and
κ̂ = ‖W‖² E⟨Z, H[Z]⟩ with Z (d, m); H is the Hessian of the weight W (d, m).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from landscape.measures.context import Progress
from landscape.measures.curvature.operator import operator
from landscape.measures.flatness.layer import LinearLayer
from landscape.objective.objective import Objective

SIGNS = "random signs"
BLOCK = 2**24  # signs in memory at once: Z of a layer with 25 000 inputs has 600 million


def by_signs(
    objective: Objective,
    layer: LinearLayer,
    scale: Tensor | None,
    draws: int,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """κ and κ̂ with standard errors; where products are finite differences, their error is in it.

    scale: of the features, (features,) float64; None for 1.
    Raises ValueError where the products are not symmetric.
    """
    hessian = operator(objective, layer=layer.name or None, seed=seed)
    own = objective.layers[layer.parameter]
    W = layer.matrix(objective.w[own].view(layer.module.weight.shape))
    columns = W.new_ones(W.shape[1]) if scale is None else layer.columns(scale).to(W)
    norm = float((W * columns).double().square().sum())
    samples, doubts = torch.zeros(2, draws, dtype=torch.float64), torch.zeros(2, draws)
    for draw, pair in enumerate(directions(W, columns, draws, seed)):
        for form, V in enumerate(pair):
            v = torch.zeros_like(objective.w)
            v[own] = layer.weight(V).flatten()
            v = hessian.block.read(v)
            h = hessian.matvec(v)
            factor = norm if form else 1.0
            samples[form, draw] = factor * float(v.double() @ h.double())
            doubts[form, draw] = factor * hessian.error * float(v.norm() * h.norm())
        if progress is not None:
            progress(draw + 1, draws)
    means, sampling = samples.mean(1), samples.std(1) / draws**0.5
    errors = torch.hypot(sampling, doubts.double().mean(1)).tolist()
    return {
        "value": means[0].item(),
        "simplified": means[1].item(),
        "stderr": errors[0],
        "simplified_stderr": errors[1],
        "estimator": SIGNS,
        "hvps": hessian.count,
    }


def directions(
    W: Tensor, columns: Tensor, draws: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of V (d, m), for κ = E⟨V, H[V]⟩ and for tr H = E⟨V, H[V]⟩, of the layer that has its
    features divided and its weight multiplied by `columns` (m,).
    """
    generator = torch.Generator().manual_seed(seed)

    def signs(rows: int, count: int) -> Tensor:
        coins = torch.randint(0, 2, (rows, count), generator=generator, dtype=torch.int8)
        return (2 * coins - 1).to(W)

    (d, m), back = W.shape, inverse(columns)
    widths = [len(part) for part in torch.arange(m).split(max(1, BLOCK // m))]
    for _ in range(draws):
        image = torch.cat([(W * columns) @ signs(m, width) for width in widths], 1)
        yield image * back, signs(d, m) * back


def inverse(scale: Tensor) -> Tensor:
    """1/scale, and 0 for a feature that is always 0."""
    return torch.where(scale > 0, 1 / scale, 0.0)
