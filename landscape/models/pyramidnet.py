"""PyramidNet: Han, Kim, Kim, CVPR 2017 (arXiv 1610.02915), additive, zero-padded shortcuts.

Every block is a little wider than the one before, instead of every stage twice as wide.
"""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.models.initialisation import he_initialised


class PyramidBlock(nn.Module):
    """x ↦ F(x) + padded(x), F with batch norm before and after and no ReLU before its first layer.

    (batch, inputs, h, w) ↦ (batch, outputs, h / stride, w / stride), outputs = 4 · width for a
    bottleneck (1x1, 3x3, 1x1), else width (3x3, 3x3). The shortcut averages 2x2 pixels where the
    stride is 2, and has zeros for the channels that are new.
    """

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        self.stride, self.new = stride, outputs - inputs
        first = [conv(inputs, width, 1), conv(width, width, 3, stride)]
        convs = [*first, conv(width, outputs, 1)]
        if not bottleneck:
            convs = [conv(inputs, width, 3, stride), conv(width, outputs, 3)]
        layers: list[nn.Module] = [nn.BatchNorm2d(inputs), convs[0]]
        for layer in convs[1:]:
            layers += [nn.BatchNorm2d(width), nn.ReLU(), layer]
        self.inner = nn.Sequential(*layers, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, outputs, h / stride, w / stride); h and w even where the stride is 2."""
        past = F.avg_pool2d(x, self.stride) if self.stride > 1 else x
        return self.inner(x) + F.pad(past, (0, 0, 0, 0, 0, self.new))


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the image's size, up to its stride."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def pyramidnet110(classes: int = 10, channels: int = 3, alpha: int = 48) -> nn.Module:
    """110 layers of basic blocks. alpha: channels that all blocks together add to the stem's 16.

    Parameters for alpha 48, 84, 270: 1,772,706, 3,904,446, 28,485,477 as the authors' code
    defines them; their tables say 1.7M, 3.8M, 28.3M.
    """
    return pyramidnet(110, alpha, False, classes, channels)


def pyramidnet272(
    classes: int = 10, channels: int = 3, alpha: int = 200, bottleneck: bool = True
) -> nn.Module:
    """272 layers of bottlenecks. 26,210,842 parameters; the authors' table says 26.0M.

    bottleneck: False, as in the AACE authors' default, has basic blocks: 41,111,801 parameters.
    """
    return pyramidnet(272, alpha, bottleneck, classes, channels)


def pyramidnet(
    depth: int, alpha: int, bottleneck: bool, classes: int = 10, channels: int = 3
) -> nn.Module:
    """Three stages of n blocks; block k of all 3n has round(16 + k · alpha / 3n) channels.

    depth: 6n + 2, for bottlenecks 9n + 2.
    x: (batch, channels, 32, 32), other multiples of 4 work too.

    Raises ValueError for another depth, and where alpha is negative.
    """
    layers_per_n = 9 if bottleneck else 6
    n, rest = divmod(depth - 2, layers_per_n)
    if n < 1 or rest:
        raise ValueError(f"`depth` must be {layers_per_n}n + 2, with n at least 1. Got {depth}.")
    if alpha < 0:
        raise ValueError(f"`alpha` must be non-negative. Got {alpha}.")
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=conv(channels, 16, 3), norm=nn.BatchNorm2d(16)
    )
    inputs = 16
    for s in range(3):
        blocks = []
        for i in range(n):
            width = int(16 + (s * n + i + 1) * alpha / (3 * n) + 0.5)
            stride = 2 if s > 0 and i == 0 else 1
            blocks.append(PyramidBlock(inputs, width, stride, bottleneck))
            inputs = 4 * width if bottleneck else width
        layers[f"stage{s + 1}"] = nn.Sequential(*blocks)
    layers.update(last_norm=nn.BatchNorm2d(inputs), relu=nn.ReLU())
    layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    layers["head"] = nn.Linear(inputs, classes)
    return he_initialised(nn.Sequential(layers))
