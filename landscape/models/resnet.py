"""Residual networks with the CIFAR stem: He, Zhang, Ren, Sun, CVPR 2016 (arXiv 1512.03385)."""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """x ↦ relu(F(x) + shortcut(x)), F two 3x3 convolutions, each with batch norm.

    (batch, inputs, h, w) ↦ (batch, width * expansion, h / stride, w / stride). The shortcut is the
    identity, or a 1x1 convolution with batch norm where the shape changes. An odd h rounds up.
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = shortcut(inputs, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, width * expansion, h / stride, w / stride)."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


def resnet18(classes: int = 10, channels: int = 3) -> nn.Module:
    """Four stages of two basic blocks, 64 to 512 channels. The defaults: 11,173,962 parameters.

    x: (batch, channels, 32, 32), other sizes work too. CIFAR stem: one 3x3 convolution of
    stride 1 and no max-pool, as in the Lookbehind authors' code (arXiv 2307.16704).
    """
    return resnet(BasicBlock, (2, 2, 2, 2), classes, channels)


def resnet(
    block: type[BasicBlock], depths: Sequence[int], classes: int, channels: int, width: int = 64
) -> nn.Module:
    """Stem, stages, global mean pool, head.

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
        layers[f"stage{s + 1}"] = stage(
            block, depth, inputs, width * 2**s, stride=1 if s == 0 else 2
        )
        inputs = width * 2**s * block.expansion
    layers.update(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    layers["head"] = nn.Linear(inputs, classes)
    model = nn.Sequential(layers)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def stage(
    block: type[BasicBlock], depth: int, inputs: int, width: int, stride: int
) -> nn.Sequential:
    """`depth` blocks, the first of which changes the shape."""
    outputs = width * block.expansion
    first = block(inputs, width, stride)
    return nn.Sequential(first, *(block(outputs, width, 1) for _ in range(depth - 1)))


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity where the shape stays, else a 1x1 projection with batch norm (option B)."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(OrderedDict(conv=projection, norm=nn.BatchNorm2d(outputs)))
