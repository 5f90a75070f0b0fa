"""A causal transformer that predicts the next token, GPT-2's form (Radford et al. 2019)."""

import torch
from torch import Tensor, nn

from landscape.models.initialisation import small_normal
from landscape.models.transformer import Block, check_heads, check_length


class LanguageModel(nn.Module):
    """Token and position embeddings, causal blocks, norm, head; a tied head is the embedding."""

    def __init__(
        self,
        vocabulary: int,
        length: int,
        width: int,
        depth: int,
        heads: int,
        dropout: float,
        tied: bool,
    ):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, True, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, length), int64 ↦ logits (batch, length, vocabulary) of each next token."""
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Tokens (batch, length) ↦ what the head sees, (batch, length, width)."""
        check_length(x.shape[1], self.positions.num_embeddings)
        h = self.tokens(x) + self.positions(torch.arange(x.shape[1], device=x.device))
        h = self.dropout(h)
        for block in self.blocks:
            h = block(h)
        features: Tensor = self.norm(h)
        return features


def language_model(
    vocabulary: int = 256,
    length: int = 128,
    width: int = 128,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.0,
    tied: bool = True,
) -> nn.Module:
    """A model of bytes, small enough to train on a CPU. The defaults have 445,952 parameters.

    length: the most tokens it sees at once. tied: one matrix embeds tokens and scores them.
    With a vocabulary of 50,257, length 1,024, width 768, depth and heads 12 it is GPT-2 (small):
    124,439,808 parameters.

    Raises ValueError where `heads` do not divide `width`; a longer text than `length` is refused.
    """
    check_heads(width, heads)
    return small_normal(LanguageModel(vocabulary, length, width, depth, heads, dropout, tied))
