"""Images: bytes to the numbers that a network sees, and random crops and flips of a batch."""

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


def crop_and_flip(
    x: Tensor, generator: torch.Generator, *, padding: int = 4, fill: Sequence[float] = (0.0,)
) -> Tensor:
    """Each image padded, cut back to its size at a random place, and mirrored with chance 1/2.

    x: (n, channels, h, w), not changed. The result has the same shape.
    generator: on the CPU, so that the same images come out on every device.
    padding: pixels on each side; the 2·padding + 1 places in each axis are equally likely.
    fill: value of the padding, one for all channels or one per channel. After normalisation black
        is not 0: see `black`.

    The CIFAR augmentation of the Lookbehind authors' code (arXiv 2307.16704), padding 4 included.

    Raises ValueError when `padding` is negative.
    """
    if padding < 0:
        raise ValueError(f"`padding` must be non-negative. Got {padding}.")
    n, channels, h, w = x.shape
    places = torch.randint(0, 2 * padding + 1, (2, n), generator=generator)
    flips = torch.randint(0, 2, (1, n), generator=generator)
    drawn = torch.cat((places, flips))
    if x.is_cuda:  # from pageable memory the copy would wait for all work of the stream
        drawn = drawn.pin_memory().to(x.device, non_blocking=True)
    top, left, flip = drawn.unsqueeze(-1)

    size = (n, channels, h + 2 * padding, w + 2 * padding)
    padded = x.new_empty(size)
    for channel in range(channels):  # numbers as arguments of kernels: no copy to the device
        padded[:, channel].fill_(fill[channel % len(fill)])
    padded[:, :, padding : padding + h, padding : padding + w] = x
    rows = top + torch.arange(h, device=x.device)
    columns = torch.arange(w, device=x.device)
    columns = left + torch.where(flip == 1, w - 1 - columns, columns)
    pixels = rows[:, :, None] * size[-1] + columns[:, None, :]
    pixels = pixels.view(n, 1, h * w).expand(n, channels, h * w)
    return padded.flatten(2).gather(2, pixels).view(n, channels, h, w)
