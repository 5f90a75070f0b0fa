"""A classifier of sequences on the body of the language model: pool, then a linear head."""

import torch
from torch import Tensor, nn

from landscape.models.initialisation import small_normal
from landscape.models.language_model import LanguageModel
from landscape.models.text_transformer import POOLS, pooled
from landscape.models.transformer import check_heads


class SequenceClassifier(LanguageModel):
    """The language model's body under its names, and a head of another shape on pooled features."""

    def __init__(self, classes: int, pool: str, **body: int | float):
        super().__init__(**body, tied=False)  # type: ignore[arg-type]
        if pool not in POOLS:
            raise ValueError(f"`pool` must be one of {', '.join(POOLS)}. Got {pool!r}.")
        self.pool = pool
        self.head = nn.Linear(self.tokens.embedding_dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (batch, length), int64 ↦ logits (batch, classes)."""
        return self.head(pooled(self.features(x), torch.ones_like(x, dtype=torch.bool), self.pool))


def sequence_classifier(
    classes: int = 2,
    pool: str = "mean",
    vocabulary: int = 256,
    length: int = 128,
    width: int = 64,
    depth: int = 2,
    heads: int = 4,
    dropout: float = 0.0,
) -> nn.Module:
    """Classify texts of bytes. The defaults have 124,802 parameters, all but the head's 130 as in
    `language_model(width=64)`, whose weights fit with init.drop=head.*

    pool: what the head sees: the mean over places, or the features of the first or last of them.
    A place sees itself and those before it.

    Raises ValueError for an unknown pool, and where `heads` do not divide `width`.
    """
    check_heads(width, heads)
    body = {"vocabulary": vocabulary, "length": length, "width": width, "depth": depth}
    return small_normal(SequenceClassifier(classes, pool, **body, heads=heads, dropout=dropout))
