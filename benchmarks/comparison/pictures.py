"""Made-up pictures of the shape of CIFAR-10; the command line imports this file as user data."""

import torch
from torch import Tensor


def images(count: int, side: int = 32) -> tuple[Tensor, Tensor]:
    """Pictures (count, 3, side, side), a pattern of their class (count,) in noise."""
    draw = torch.Generator().manual_seed(0)
    patterns = torch.randn(10, 3, side, side, generator=draw)
    y = torch.randint(10, (count,), generator=draw)
    return patterns[y] + torch.randn(count, 3, side, side, generator=draw), y


def splits(count: int, side: int = 32) -> dict[str, tuple[Tensor, Tensor]]:
    """Such pictures to train on, and a tenth as many to test on."""
    x, y = images(count + max(count // 10, 10), side)
    return {"train": (x[:count], y[:count]), "test": (x[count:], y[count:])}
