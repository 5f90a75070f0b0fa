"""A network of LeNet-5's size: LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 1998."""

from collections import OrderedDict

from torch import nn


def lenet(channels: int = 1, classes: int = 10, size: int = 28, width: int = 1) -> nn.Module:
    """Two 5x5 convolutions (6 and 16 channels) with ReLU and 2x2 max-pool, linear 120, 84, head.

    x: (batch, channels, size, size). The defaults (28x28, first convolution padded by 2) have
    exactly 61,706 parameters: 156 + 2,416 + 48,120 + 10,164 + 850.
    width: factor of the channels and of the hidden units; 2 has 244,362 parameters.

    Raises ValueError when `size` is below 12, which the second pool would reduce to nothing, and
    when `width` is not a positive integer.

    Differs from the paper's network: ReLU for the scaled tanh, max-pool for trainable
    subsampling, full connections between the convolutions, a linear head for radial basis units.
    """
    if size < 12:
        raise ValueError(f"`size` must be at least 12. Got {size}.")
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"`width` must be a positive integer. Got {width!r}.")
    pooled = (size // 2 - 4) // 2
    first, second, third, fourth = (width * units for units in (6, 16, 120, 84))
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, first, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(first, second, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            linear1=nn.Linear(second * pooled**2, third),
            relu3=nn.ReLU(),
            linear2=nn.Linear(third, fourth),
            relu4=nn.ReLU(),
            head=nn.Linear(fourth, classes),
        )
    )
