"""ResNet-56, the deep and thin one of CIFAR: He, Zhang, Ren, Sun, CVPR 2016 (arXiv 1512.03385).

Three stages of nine blocks, 16, 32 and 64 channels. Without its shortcuts it is the network of the
most reproduced figure of Li et al., NeurIPS 2018 (arXiv 1712.09913).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.models.resnet import BasicBlock, resnet


class Padded(nn.Module):
    """Option A: every `stride`-th pixel in each axis, zeros for the channels that are new."""

    def __init__(self, new: int, stride: int):
        super().__init__()
        self.new, self.stride = new, stride

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) ↦ (batch, channels + new, h / stride, w / stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))


class ThinBlock(BasicBlock):
    """The basic block with a shortcut that has no parameters."""

    def __init__(self, inputs: int, width: int, stride: int, skip: bool = True):
        super().__init__(inputs, width, stride, skip=False)
        if skip:
            self.shortcut = Padded(width - inputs, stride)


def resnet56(classes: int = 10, channels: int = 3, skip: bool = True) -> nn.Module:
    """The defaults: 853,018 parameters (0.85M in the paper), with and without shortcuts.

    x: (batch, channels, 32, 32), other sizes work too.
    skip: with shortcuts, or without.

    Differs from Li et al.'s code, which has 1x1 convolutions where the shape changes (option B):
    2,752 parameters more, and not the same number without shortcuts.
    """
    return resnet(ThinBlock, (9, 9, 9), classes, channels, width=16, skip=skip)
