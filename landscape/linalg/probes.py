"""Random vectors for stochastic estimators: E[z zᵀ] = I, so E[zᵀHz] = tr H.

Drawn on the CPU from an explicit seed and then moved, so every device sees the same vectors.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def signs(like: Tensor, draws: int, seed: int) -> Iterator[Tensor]:
    """Yield `draws` vectors (n,) of independent random signs ±1, dtype and device of `like`."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        coins = torch.randint(0, 2, (len(like),), generator=generator, dtype=torch.int8)
        yield (2 * coins - 1).to(like.device, like.dtype)


def numbered_gaussians(like: Tensor, seed: int) -> Callable[[int], Tensor]:
    """The vectors of `gaussians` by number, in any order; only the generator's states are kept."""
    generator = torch.Generator().manual_seed(seed)
    states = [generator.get_state()]

    def vector(number: int) -> Tensor:
        for i in range(min(number, len(states) - 1), number + 1):
            generator.set_state(states[i])
            drawn = torch.randn(len(like), generator=generator, dtype=torch.float32)
            if i + 1 == len(states):
                states.append(generator.get_state())
        return drawn.to(like)

    return vector


def gaussians(like: Tensor, draws: int, seed: int) -> Iterator[Tensor]:
    """Yield `draws` standard normal vectors (n,), with dtype and device of `like` (n,).

    Drawn in float32 whatever the dtype, so a float64 check of a float32 result uses the same
    vectors.
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        yield torch.randn(len(like), generator=generator, dtype=torch.float32).to(like)
