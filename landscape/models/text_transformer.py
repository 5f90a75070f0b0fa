"""A transformer that classifies texts: tokens in, padding masked, mean over the text, head."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from landscape.models.initialisation import small_normal
from landscape.models.transformer import Block, check_heads, check_length

POOLS = ("mean", "first", "last")
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


class PairTransformer(TextTransformer):
    """The same for `[CLS] a [SEP] b [SEP]`: types of tokens, a mask, and a head on pooled features.

    pool: "first" (the features of [CLS]), "mean", or "last", of the places that the mask has.
    """

    def __init__(self, classes: int, pool: str, **sizes: Any):
        super().__init__(classes, **sizes)
        if pool not in POOLS:
            raise ValueError(f"`pool` must be one of {', '.join(POOLS)}. Got {pool!r}.")
        self.pool = pool
        self.types = nn.Embedding(2, self.tokens.embedding_dim)

    def forward(
        self,
        input_ids: Any,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Tokens, types and mask (batch, length), or a mapping of them ↦ logits (batch, classes).

        Types are 0 and the mask is where no padding is unless given.
        """
        if isinstance(input_ids, Mapping):
            return self.forward(**input_ids)
        x = input_ids
        check_length(x.shape[1], self.positions.num_embeddings)
        there = (x != PADDING) if attention_mask is None else attention_mask.bool()
        types = torch.zeros_like(x) if token_type_ids is None else token_type_ids
        places = torch.arange(x.shape[1], device=x.device)
        h = self.dropout(self.tokens(x) + self.types(types) + self.positions(places))
        for block in self.blocks:
            h = block(h, there[:, None, None, :])
        return self.head(pooled(self.norm(h), there, self.pool))


def pooled(h: Tensor, there: Tensor, pool: str) -> Tensor:
    """Features (batch, length, width) of one place, or their mean, where a mask (batch, length) is
    True ↦ (batch, width).
    """
    if pool == "first":
        return h[:, 0]
    if pool == "mean":
        weight = there.unsqueeze(-1).to(h.dtype)
        return (h * weight).sum(1) / weight.sum(1)
    places = torch.arange(h.shape[1], device=h.device)
    last = places.where(there, 0).max(1).values
    return h[torch.arange(len(h), device=h.device), last]


def pair_transformer(
    classes: int = 2,
    pool: str = "first",
    vocabulary: int = 8192,
    length: int = 128,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.1,
) -> nn.Module:
    """Classify pairs of texts, or with classes=1 and --loss squared-error tell a number of each.
    The defaults have 632,834 parameters.

    Raises ValueError for an unknown pool, and where `heads` do not divide `width`.
    """
    check_heads(width, heads)
    sizes = {"vocabulary": vocabulary, "length": length, "width": width, "depth": depth}
    return small_normal(PairTransformer(classes, pool, **sizes, heads=heads, dropout=dropout))


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
