"""Wide residual networks: Zagoruyko, Komodakis, BMVC 2016 (arXiv 1605.07146)."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.models.head import head
from landscape.models.initialisation import he_initialised


class WideBlock(nn.Module):
    """x ↦ F(x) + shortcut(x), batch norm and ReLU before each of F's two 3x3 convolutions.

    (batch, inputs, h, w) ↦ (batch, width, h / stride, w / stride). Where the channels change the
    shortcut is a 1x1 convolution, of the normalised x.
    """

    def __init__(self, inputs: int, width: int, stride: int, dropout: float):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut = None
        if inputs != width:
            self.shortcut = nn.Conv2d(inputs, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, width, h / stride, w / stride)."""
        active = F.relu(self.norm1(x))
        inner = self.dropout(F.relu(self.norm2(self.conv1(active))))
        past = x if self.shortcut is None else self.shortcut(active)
        return self.conv2(inner) + past


def wrn28_10(
    classes: int = 10, channels: int = 3, dropout: float = 0.0, neck: int = 0
) -> nn.Module:
    """WRN-28-10: the defaults have 36,479,194 parameters (36.5M in the paper).

    x: (batch, channels, 32, 32), other sizes work too.
    dropout: between the two convolutions of a block; the paper tries 0 and 0.3.
    neck: units of one more linear layer before the head, without an activation between them; 64 in
    the FAM authors' code (arXiv 2307.02337).
    """
    return wide_resnet(28, 10, classes, channels, dropout, neck)


def wrn34_10(
    classes: int = 10, channels: int = 3, dropout: float = 0.0, zero_head: bool = False
) -> nn.Module:
    """WRN-34-10: the defaults have 46,160,474 parameters.

    What the AACE authors' code (arXiv 2406.14329) calls WRN-28-10: its stages have a block more.
    zero_head: start the head at zero, as that code does.
    """
    return wide_resnet(34, 10, classes, channels, dropout, zero_head=zero_head)


def wide_resnet(
    depth: int,
    width: int,
    classes: int = 10,
    channels: int = 3,
    dropout: float = 0.0,
    neck: int = 0,
    zero_head: bool = False,
) -> nn.Module:
    """WRN-`depth`-`width`: three stages of (depth - 4) / 6 blocks, 16, 32 and 64 · width channels.

    Raises ValueError when `depth` is not 6n + 4, or `width` not positive.
    """
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"`depth` must be 6n + 4, with n at least 1. Got {depth}.")
    if width < 1:
        raise ValueError(f"`width` must be positive. Got {width}.")
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(channels, 16, 3, padding=1, bias=False)
    )
    inputs = 16
    for s, outputs in enumerate((16 * width, 32 * width, 64 * width)):
        blocks = []
        for i in range((depth - 4) // 6):
            stride = 2 if s > 0 and i == 0 else 1
            blocks.append(WideBlock(inputs, outputs, stride, dropout))
            inputs = outputs
        layers[f"stage{s + 1}"] = nn.Sequential(*blocks)
    layers.update(norm=nn.BatchNorm2d(inputs), relu=nn.ReLU())
    layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    layers |= head(inputs, classes, neck, zero_head)
    return he_initialised(nn.Sequential(layers))
