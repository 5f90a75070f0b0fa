"""A network of LeNet-5's size: LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 1998."""

from collections import OrderedDict

from torch import nn


def lenet(channels: int = 1, classes: int = 10, size: int = 28) -> nn.Module:
    """Two 5x5 convolutions (6 and 16 channels) with ReLU and 2x2 max-pool, linear 120, 84, head.

    x: (batch, channels, size, size). The defaults (28x28, first convolution padded by 2) have
    exactly 61,706 parameters: 156 + 2,416 + 48,120 + 10,164 + 850.

    Raises ValueError when `size` is below 12, which the second pool would reduce to nothing.

    Differs from the paper's network: ReLU for the scaled tanh, max-pool for trainable
    subsampling, full connections between the convolutions, a linear head for radial basis units.
    """
    if size < 12:
        raise ValueError(f"`size` must be at least 12. Got {size}.")
    pooled = (size // 2 - 4) // 2
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 6, 5, padding=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            linear1=nn.Linear(16 * pooled**2, 120),
            relu3=nn.ReLU(),
            linear2=nn.Linear(120, 84),
            relu4=nn.ReLU(),
            head=nn.Linear(84, classes),
        )
    )
