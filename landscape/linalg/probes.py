"""Random vectors for stochastic estimators: E[z zᵀ] = I, so E[zᵀHz] = tr H.

Drawn on the CPU from an explicit seed and then moved, so every device sees the same vectors.
"""

from collections.abc import Iterator

import torch
from torch import Tensor


def signs(like: Tensor, draws: int, seed: int) -> Iterator[Tensor]:
    """Yield `draws` vectors (n,) of independent random signs ±1, dtype and device of `like`."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        coins = torch.randint(0, 2, (len(like),), generator=generator, dtype=torch.int8)
        yield (2 * coins - 1).to(like.device, like.dtype)


def gaussians(like: Tensor, draws: int, seed: int) -> Iterator[Tensor]:
    """Yield `draws` standard normal vectors (n,), with dtype and device of `like` (n,).

    Drawn in float32 whatever the dtype, so a float64 check of a float32 result uses the same
    vectors.
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        yield torch.randn(len(like), generator=generator, dtype=torch.float32).to(like)
