"""Vision transformer: Dosovitskiy et al., ICLR 2021 (arXiv 2010.11929), sized for 32x32 images."""

import torch
from torch import Tensor, nn

from landscape.models.initialisation import small_normal
from landscape.models.transformer import Block, check_heads


class VisionTransformer(nn.Module):
    """Patches to tokens, a class token in front, learned positions, blocks, norm, head."""

    def __init__(
        self,
        classes: int,
        channels: int,
        size: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        dropout: float,
    ):
        super().__init__()
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + (size // patch) ** 2, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout=dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        for learned in (self.class_token, self.positions):
            nn.init.normal_(learned, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, size, size) ↦ logits (batch, classes)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        first = self.class_token.expand(len(x), -1, -1)
        tokens = self.dropout(torch.cat((first, tokens), 1) + self.positions)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens[:, 0]))


def vit(
    classes: int = 10,
    channels: int = 3,
    size: int = 32,
    patch: int = 4,
    width: int = 192,
    depth: int = 6,
    heads: int = 3,
    dropout: float = 0.0,
) -> nn.Module:
    """ViT-Ti's width and heads, half its depth, 64 patches of 4x4 pixels. 2,693,578 parameters.

    x: (batch, channels, size, size). With size 224, patch 16, depth 12 and 1,000 classes it is
    ViT-Ti/16 with 5,717,416 parameters; with width 768 and 12 heads ViT-B/16, 86,567,656 (86M in
    the paper).

    Raises ValueError where `patch` does not divide `size`, or `heads` do not divide `width`.
    """
    if patch < 1 or size % patch:
        raise ValueError(f"`size` must be a multiple of `patch`. Got {size} and {patch}.")
    check_heads(width, heads)
    return small_normal(
        VisionTransformer(classes, channels, size, patch, width, depth, heads, dropout)
    )
