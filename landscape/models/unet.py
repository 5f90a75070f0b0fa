"""U-Net, small: Ronneberger, Fischer and Brox, MICCAI 2015 (arXiv 1505.04597)."""

import torch
from torch import Tensor, nn

from landscape.models.initialisation import he_initialised


class UNet(nn.Module):
    """Two levels down and up, the way up beside the outputs of the same size on the way down."""

    def __init__(self, channels: int, classes: int, width: int):
        super().__init__()
        self.down1, self.down2 = _block(channels, width), _block(width, 2 * width)
        self.mid = _block(2 * width, 4 * width)
        self.up2, self.up1 = _block(6 * width, 2 * width), _block(3 * width, width)
        self.pool, self.larger = nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, channels, h, w), h and w divisible by 4 ↦ logits (n, h, w, classes)."""
        first = self.down1(x)
        second = self.down2(self.pool(first))
        h = self.mid(self.pool(second))
        h = self.up2(torch.cat([self.larger(h), second], 1))
        h = self.up1(torch.cat([self.larger(h), first], 1))
        return self.head(h).movedim(1, -1)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions without bias, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def unet(channels: int = 1, classes: int = 3, width: int = 8) -> nn.Module:
    """Class of each pixel, from features at three scales. The defaults have 29,795 parameters.

    x: (batch, channels, h, w), h and w divisible by 4. width: channels of the first level; the next
    two have twice and four times as many. `mid.0` is the first convolution of the lowest level.
    """
    return he_initialised(UNet(channels, classes, width))
