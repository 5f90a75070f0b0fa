"""Trace by diagonal blocks, tr H = Σ_b tr H_bb, with a confidence interval.

What lies outside the blocks has no trace, and yet is most of the scatter of xᵀHx in networks: the
curvature between layers, of both signs alike. A direction within one block does not meet it. A
product goes where it narrows the interval most: into the basis of some block, or into another
direction of some block.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor

from landscape.linalg.diagonal_block import EARLY, DiagonalBlock
from landscape.linalg.quadratic_forms import LEVEL, Estimate, Moments, interval
from landscape.linalg.subspace import MatVec

FEWEST = 5  # directions of each block
FEWEST_OF_ALL = 10
COST = 20  # products for a block: with fewer, blocks are merged
SPARE = 1.02  # narrower than asked for: most runs end at the second look


def merged(sizes: Sequence[int], products: int) -> list[int]:
    """Merge the smallest neighbours until the products suffice for every block."""
    sizes, most = list(sizes), max(1, products // COST)
    while len(sizes) > most:
        sums = [a + b for a, b in pairwise(sizes)]
        i = sums.index(min(sums))
        sizes[i : i + 2] = [sums[i]]
    return sizes


def diagonal_blocks(
    matvec: MatVec, like: Tensor, sizes: Sequence[int], most: int, memory: int, seed: int
) -> list[DiagonalBlock]:
    """The blocks of these sizes, which add up to n, one after the other; their bases hold at most
    `most` vectors each, and `memory` bytes together.
    """
    affordable = memory // (len(like) * like.dtype.itemsize) - 1 - 2 * EARLY
    capacity = max(1, min(most, affordable))
    generator = torch.Generator().manual_seed(seed)

    def block(start: int, stop: int) -> DiagonalBlock:
        def product(v: Tensor) -> Tensor:
            whole = torch.zeros_like(like)
            whole[start:stop] = v
            return matvec(whole)[start:stop]

        def draw() -> Tensor:
            return torch.randn(stop - start, generator=generator, dtype=torch.float32).to(like)

        return DiagonalBlock(product, like[start:stop], capacity, draw)

    return [block(*ends) for ends in pairwise(accumulate(sizes, initial=0))]


def estimate_blocks(
    blocks: Sequence[DiagonalBlock], tolerance: float, most: int, error: float, known: float
) -> Estimate:
    """tr H with its interval, ± tolerance·|tr H| if `most` products suffice for it.

    error: relative, of one product; it widens the interval. known: a share of tr H that the
    products leave out.
    """
    fewest = max(FEWEST, math.ceil(FEWEST_OF_ALL / len(blocks)))
    spent = EARLY * len(blocks)
    spent += _grow(blocks, tolerance, most - spent, fewest, known)
    planned = [fewest] * len(blocks)
    while True:
        for block, aim in zip(blocks, planned, strict=True):
            while block.draws < aim and block.left:
                block.look()
                spent += 1
        rest = _summed(blocks, known)
        floor = error * (abs(known) + sum(b.reach for b in blocks))
        allowed = tolerance * abs(float(rest.value)) - floor
        norms = [b.norm for b in blocks]
        if rest.half <= allowed or spent >= most or not any(norms):
            return Estimate(rest.value, rest.stderr, rest.half + floor)
        draws = [b.draws for b in blocks]
        planned = _planned(norms, draws, max(allowed, 0.0) / SPARE, most - spent)


def _grow(
    blocks: Sequence[DiagonalBlock], tolerance: float, most: int, fewest: int, known: float
) -> int:
    """Grow the bases while another vector saves more directions than its product costs, at most
    half of `most`. Returns the number of products.

    fewest: directions that each block takes in any case; a complement no larger is taken whole.
    """
    from scipy.special import ndtri

    needed = fewest * len(blocks)
    for spent in range(min(most // 2, most - needed)):
        norm = sum(b.norm for b in blocks)
        growing = max((b for b in blocks if not b.space.full), key=lambda b: b.gain, default=None)
        if growing is None or not norm:
            break
        allowed = tolerance * abs(float(_summed(blocks, known).value))
        wanted = 2 * (float(ndtri((1 + LEVEL) / 2)) / allowed) ** 2 if allowed else math.inf
        scale = min(wanted, (most - spent) / norm**2)  # directions for a norm of 1
        before, after = scale * norm**2, scale * (norm - growing.gain) ** 2
        if max(before, needed) - max(after, needed) <= 1:
            break
        growing.grow()
    for block in blocks:
        while block.left <= fewest and not block.space.full:
            block.grow()
    return sum(b.space.size for b in blocks)


def _summed(blocks: Sequence[DiagonalBlock], known: float) -> Estimate:
    """The traces of the blocks together, with what is known beside them.

    A few directions of many blocks cannot tell how sure their variance is, so that the degrees of
    freedom are at most the directions, as of a matrix of rank 1.
    """
    terms = zip(*(b.moments for b in blocks), strict=True)
    value, variance, doubt = (np.sum(term, axis=0) for term in terms)
    value += known + sum(b.known for b in blocks)
    quantile = _quantile(sum(b.draws for b in blocks))
    found = interval(Moments(value, variance, doubt))
    return found._replace(half=np.maximum(found.half, quantile * found.stderr))


def _planned(norms: list[float], draws: list[int], half: float, budget: int) -> list[int]:
    """Further directions where they lower the variance most, until half the interval is `half`."""
    draws = list(draws)
    for _ in range(budget):
        worth = [norm**2 / max(q * (q + 1), 1) for norm, q in zip(norms, draws, strict=True)]
        draws[worth.index(max(worth))] += 1
        variance = sum(2 * norm**2 / max(q, 1) for norm, q in zip(norms, draws, strict=True))
        if _quantile(sum(draws)) * variance**0.5 <= half:
            break
    return draws


def _quantile(draws: int) -> float:
    """Student's t at the level of the interval, with as many degrees of freedom as directions."""
    from scipy.special import stdtrit

    return float(stdtrit(max(draws, 1), (1 + LEVEL) / 2))
