"""Bytes of images to the numbers that a network sees."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def normalise(raw: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(raw / 255 − mean) / std per channel: uint8 (n, channels, h, w) to float32 of that shape."""
    x = torch.tensor(raw, dtype=torch.float32).div_(255)
    per_channel = (1, len(mean), 1, 1)
    return x.sub_(torch.tensor(mean).view(per_channel)).div_(torch.tensor(std).view(per_channel))


def black(mean: Sequence[float], std: Sequence[float]) -> tuple[float, ...]:
    """Value of the byte 0 after `normalise`, per channel."""
    return tuple(-m / s for m, s in zip(mean, std, strict=True))
