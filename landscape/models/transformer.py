"""The pre-norm transformer block: Vaswani et al. 2017 (arXiv 1706.03762), norms as in GPT-2."""

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention: softmax(Q Kᵀ / √(width / heads)) V for each head.

    torch's fused kernels compute it where there is no second derivative to take.
    """

    def __init__(self, width: int, heads: int, causal: bool, dropout: float):
        super().__init__()
        self.heads, self.causal, self.dropout = heads, causal, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, width) ↦ the same.

        mask: (batch, 1, 1, length), True where a position may be looked at. None: all, or, where
        the attention is causal, those up to one's own.
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """x ↦ y + MLP(norm(y)), y = x + attention(norm(x)); the MLP is 4 · width wide, with GELU."""

    def __init__(self, width: int, heads: int, causal: bool = False, dropout: float = 0.0):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, length, width) ↦ the same; mask: see `Attention`."""
        x = x + self.dropout(self.attention(self.norm1(x), mask))
        return x + self.dropout(self.linear2(F.gelu(self.linear1(self.norm2(x)))))


def check_heads(width: int, heads: int) -> None:
    """Raises ValueError where `heads` do not divide `width`."""
    if heads < 1 or width % heads:
        raise ValueError(f"`width` must be a multiple of `heads`. Got {width} and {heads}.")


def check_length(length: int, most: int) -> None:
    """Raises ValueError where a sequence is longer than the model has positions."""
    if length > most:
        raise ValueError(f"A sequence must have at most {most} positions. Got {length}.")
