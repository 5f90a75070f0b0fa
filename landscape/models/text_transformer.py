"""A transformer that classifies texts: tokens in, padding masked, mean over the text, head."""

import torch
from torch import Tensor, nn

from landscape.models.initialisation import small_normal
from landscape.models.transformer import Block, check_heads, check_length

PADDING = 0  # the token that fills a text up, in every vocabulary of ours


class TextTransformer(nn.Module):
    """Token and position embeddings, blocks that see the whole text, norm, mean, head."""

    def __init__(
        self,
        classes: int,
        vocabulary: int,
        length: int,
        width: int,
        depth: int,
        heads: int,
        dropout: float,
    ):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=PADDING)
        self.positions = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout=dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, length), int64, 0 for padding ↦ logits (batch, classes).

        Padding is neither looked at nor averaged over; a text of nothing else counts as one token.
        """
        check_length(x.shape[1], self.positions.num_embeddings)
        there = x != PADDING
        there[:, 0] = True
        h = self.tokens(x) + self.positions(torch.arange(x.shape[1], device=x.device))
        h = self.dropout(h)
        for block in self.blocks:
            h = block(h, there[:, None, None, :])
        weight = there.unsqueeze(-1).to(h.dtype)
        return self.head((self.norm(h) * weight).sum(1) / weight.sum(1))


def text_transformer(
    classes: int = 2,
    vocabulary: int = 8192,
    length: int = 64,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
) -> nn.Module:
    """Small enough to train on a CPU. The defaults have 628,610 parameters, 524,288 of them words.

    vocabulary: tokens, padding (0) among them. length: of the longest text.

    Raises ValueError where `heads` do not divide `width`; a longer text than `length` is refused.
    """
    check_heads(width, heads)
    return small_normal(TextTransformer(classes, vocabulary, length, width, depth, heads, dropout))
