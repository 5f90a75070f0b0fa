"""Residual networks with the CIFAR stem: He, Zhang, Ren, Sun, CVPR 2016 (arXiv 1512.03385).

`skip=False` takes the shortcuts away and keeps all else: Li, Xu, Taylor, Studer, Goldstein, NeurIPS
2018 (arXiv 1712.09913) show what they do to the loss surface.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.models.head import head
from landscape.models.initialisation import he_initialised


class BasicBlock(nn.Module):
    """x ↦ relu(F(x) + shortcut(x)), F two 3x3 convolutions, each with batch norm.

    (batch, inputs, h, w) ↦ (batch, width * expansion, h / stride, w / stride). The shortcut is the
    identity, or a 1x1 convolution with batch norm where the shape changes; without `skip` it is 0.
    An odd h rounds up.
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, skip: bool = True):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = shortcut(inputs, width * self.expansion, stride) if skip else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, width * expansion, h / stride, w / stride)."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return joined(self.norm2(self.conv2(inner)), x, self.shortcut)


class Bottleneck(nn.Module):
    """Residual block x + F(x) with F a 1x1, a 3x3 and a 1x1 convolution.

    Differs from the paper, which has the stride in the first 1x1 convolution, not in the 3x3.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, skip: bool = True):
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outputs)
        self.shortcut = shortcut(inputs, outputs, stride) if skip else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, width * expansion, h / stride, w / stride)."""
        inner = F.relu(self.norm1(self.conv1(x)))
        inner = F.relu(self.norm2(self.conv2(inner)))
        return joined(self.norm3(self.conv3(inner)), x, self.shortcut)


def resnet18(classes: int = 10, channels: int = 3, skip: bool = True, neck: int = 0) -> nn.Module:
    """Four stages of two basic blocks, 64 to 512 channels. The defaults: 11,173,962 parameters.

    x: (batch, channels, 32, 32), other sizes work too. CIFAR stem: one 3x3 convolution of
    stride 1 and no max-pool, as in the Lookbehind authors' code (arXiv 2307.16704).
    skip: with shortcuts, or without: 11,000,138 parameters.
    neck: units of one more linear layer before the head, without an activation between them; 64 in
    the FAM authors' code (arXiv 2307.02337): 11,202,314 parameters.
    """
    return resnet(BasicBlock, (2, 2, 2, 2), classes, channels, skip=skip, neck=neck)


def resnet34(classes: int = 10, channels: int = 3, skip: bool = True) -> nn.Module:
    """Stages of 3, 4, 6 and 3 basic blocks; else as `resnet18`. 21,282,122 parameters."""
    return resnet(BasicBlock, (3, 4, 6, 3), classes, channels, skip=skip)


def resnet50(classes: int = 10, channels: int = 3, skip: bool = True) -> nn.Module:
    """Stages of 3, 4, 6 and 3 bottlenecks; else as `resnet18`. 23,520,842 parameters."""
    return resnet(Bottleneck, (3, 4, 6, 3), classes, channels, skip=skip)


def resnet(
    block: type[BasicBlock] | type[Bottleneck],
    depths: Sequence[int],
    classes: int,
    channels: int,
    width: int = 64,
    skip: bool = True,
    neck: int = 0,
) -> nn.Module:
    """Stem, stages, global mean pool, neck where it has units, head.

    Stage s, from 0, has depths[s] blocks of width · 2ˢ channels, times the block's expansion.
    Every stage but the first halves the image.
    He initialisation: variance 2 / fan-out (arXiv 1502.01852).
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(channels, width, 3, padding=1, bias=False),
        norm=nn.BatchNorm2d(width),
        relu=nn.ReLU(),
    )
    inputs = width
    for s, depth in enumerate(depths):
        blocks = []
        for i in range(depth):
            stride = 2 if s > 0 and i == 0 else 1
            blocks.append(block(inputs, width * 2**s, stride, skip))
            inputs = width * 2**s * block.expansion
        layers[f"stage{s + 1}"] = nn.Sequential(*blocks)
    layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    layers |= head(inputs, classes, neck)
    return he_initialised(nn.Sequential(layers))


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity where the shape stays, else a 1x1 projection with batch norm (option B)."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(OrderedDict(conv=projection, norm=nn.BatchNorm2d(outputs)))


def joined(inner: Tensor, x: Tensor, past: nn.Module | None) -> Tensor:
    """relu(inner + past(x)), or relu(inner) where there is no shortcut."""
    return F.relu(inner if past is None else inner + past(x))
