"""A small convolutional network with batch norm, cheap enough for seconds on a CPU."""

from collections import OrderedDict

from torch import nn


def convnet(channels: int = 1, classes: int = 10, size: int = 8) -> nn.Module:
    """Two 3x3 convolutions (16 and 32 channels) with batch norm and ReLU, 2x2 mean pool, head.

    x: (batch, channels, size, size). The defaults (8x8 digits) have 9,978 parameters.
    The convolutions have no bias, because batch norm would subtract it again.

    Raises ValueError when `size` is below 2, which pooling would reduce to nothing.
    """
    if size < 2:
        raise ValueError(f"`size` must be at least 2. Got {size}.")
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            norm1=nn.BatchNorm2d(16),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(16, 32, 3, padding=1, bias=False),
            norm2=nn.BatchNorm2d(32),
            relu2=nn.ReLU(),
            pool=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            head=nn.Linear(32 * (size // 2) ** 2, classes),
        )
    )
