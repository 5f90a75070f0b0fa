"""Text, series and graphs."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import landscape as ls
from differential.case import Case, answer, cross_entropy, uneven


def tokens(n: int = 10, length: int = 5, words: int = 7, classes: int = 3) -> list[Any]:
    return uneven(torch.randint(words, (n, length)), torch.randint(classes, (n,)))


class PackedGRU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 3)

    def forward(self, x: PackedSequence) -> Tensor:
        return self.head(self.gru(x)[1][-1])


def packed() -> Case:
    def batch(lengths: list[int]) -> ls.Batch:
        series = [torch.randn(k, 2) for k in lengths]
        y = torch.randint(3, (len(lengths),))
        return ls.Batch(pack_sequence(series, enforce_sorted=False), y)

    batches = [batch([3, 1, 4]), batch([2, 5])]
    return Case(PackedGRU(), batches, cross_entropy, answer, weights=[3.0, 2.0])


class Stateful(nn.Module):
    """A recurrent network that goes on from where the last batch ended."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(2, 3), nn.Linear(3, 3)
        self.hidden = torch.zeros(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.hidden = self.cell(x, self.hidden.detach())
        return self.head(self.hidden)


def stateful() -> Case:
    batches = [(torch.randn(4, 2), torch.randint(3, (4,)))]
    return Case(Stateful(), batches, cross_entropy, answer)


class BiLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 2, padding_idx=0)
        self.lstm = nn.LSTM(2, 2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(self.embed(x))[0].mean(1))


def bilstm() -> Case:
    return Case(BiLSTM(), tokens(), cross_entropy, answer)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(4, 3)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        return self.head(self.encoder(x["v"], src_key_padding_mask=x["pad"]).mean(1))


def padded_encoder() -> Case:
    def batch(n: int) -> ls.Batch:
        pad = torch.zeros(n, 4, dtype=torch.bool)
        pad[::2, 3] = True
        return ls.Batch({"v": torch.randn(n, 4, 4), "pad": pad}, torch.randint(3, (n,)))

    return Case(Encoder(), [batch(6), batch(4)], cross_entropy, answer, weights=[6.0, 4.0])


class Causal(nn.Module):
    """A decoder whose head is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Embedding(6, 4), nn.LayerNorm(4)
        self.qkv, self.head = nn.Linear(4, 12, bias=False), nn.Linear(4, 6, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        z = self.embed(x)
        q, k, v = self.qkv(self.norm(z)).chunk(3, -1)
        return self.head(z + F.scaled_dot_product_attention(q, k, v, is_causal=True))


def shifted(model: nn.Module, batch: Any) -> Tensor:
    z = model(batch.x)[:, :-1]
    return F.cross_entropy(z.flatten(0, 1), batch.y[:, 1:].flatten(), ignore_index=-100)


def causal() -> Case:
    x = torch.randint(6, (5, 5))
    y = x.clone()
    y[0, 2:] = y[3, 4:] = -100
    counts = [float((part[:, 1:] >= 0).sum()) for part in (y[:3], y[3:])]
    batches = [ls.Batch(x[:3], y[:3], counts[0]), ls.Batch(x[3:], y[3:], counts[1])]
    return Case(Causal(), batches, shifted, weights=counts)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x, need_weights=False)[0][:, 0])


def attention() -> Case:
    batches = uneven(torch.randn(10, 3, 4), torch.randint(3, (10,)))
    return Case(Attention(), batches, cross_entropy, answer)


class WithLoss(nn.Module):
    """An encoder that computes its loss when it is given labels."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.pooler, self.head = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, input_ids: Tensor, mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        z = (self.embed(input_ids) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        logits = self.head(z.tanh())  # the pooler is not used
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def dictionaries() -> Case:
    def batch(n: int) -> dict[str, Tensor]:
        mask = (torch.arange(5) < torch.randint(2, 6, (n, 1))).double()
        ids = torch.randint(7, (n, 5))
        return {"input_ids": ids, "mask": mask, "labels": torch.randint(3, (n,))}

    return Case(
        WithLoss(), [batch(6), batch(4)], lambda m, b: m(**b.x)["loss"],
        lambda m, b: m(**b.x)["logits"], weights=[6.0, 4.0],
    )  # fmt: skip


def embedding_bag() -> Case:
    model = nn.Sequential(nn.EmbeddingBag(7, 4), nn.Tanh(), nn.Linear(4, 3))
    return Case(model, tokens(), cross_entropy, answer, differences=True)


def max_norm() -> Case:
    model = nn.Sequential(nn.Embedding(7, 4, max_norm=0.5), nn.Flatten(), nn.Linear(20, 3))
    return Case(model, tokens(), cross_entropy, answer)


class GCN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        edges = x["adjacency"]
        return torch.sparse.mm(edges, self.b(F.gelu(torch.sparse.mm(edges, self.a(x["v"])))))


def nodes(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch.x)[batch.x["train"]], batch.y[batch.x["train"]])


def graph(left_out: int | None = None) -> Case:
    """A loss of the training nodes; left_out: the label of the others in y, a class by default."""
    edges = (torch.rand(8, 8) < 0.3).double() + torch.eye(8)
    edges = (edges / edges.sum(1, keepdim=True)).to_sparse()
    x = {"adjacency": edges, "v": torch.randn(8, 3), "train": torch.arange(8) < 5}
    y = torch.randint(3, (8,))
    if left_out is None:
        return Case(GCN(), [ls.Batch(x, y)], nodes, weights=[8.0])
    return Case(GCN(), [ls.Batch(x, y.where(x["train"], left_out))], nodes, answer, weights=[8.0])


class DeepSets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.phi, self.rho = nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        return self.rho((F.silu(self.phi(x[0])) * x[1][..., None]).sum(1))[:, 0]


def deep_sets() -> Case:
    def batch(n: int) -> tuple[Any, Tensor]:
        mask = (torch.arange(4) < torch.randint(1, 5, (n, 1))).double()
        return (torch.randn(n, 4, 2), mask), torch.randn(n)

    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.huber_loss(model(b.x), b.y, delta=0.5)

    return Case(DeepSets(), [batch(6), batch(4)], loss, weights=[6.0, 4.0])


class Aligned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(2, 3, 2), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).tanh().mT).log_softmax(-1)


def ctc(model: nn.Module, batch: Any) -> Tensor:
    """Of each sequence, divided by its length of target, as torch's mean does."""
    z, lengths = model(batch.x).transpose(0, 1), batch.y["lengths"]
    steps = torch.full((z.shape[1],), z.shape[0])
    return F.ctc_loss(z, batch.y["targets"], steps, lengths)


def speech() -> Case:
    def batch(n: int) -> ls.Batch:
        y = {"targets": torch.randint(1, 4, (n, 2)), "lengths": torch.randint(1, 3, (n,))}
        return ls.Batch(torch.randn(n, 2, 7), y)

    return Case(Aligned(), [batch(4), batch(3)], ctc, weights=[4.0, 3.0], differences=True)


CASES = {
    "GRU on packed sequences": packed,
    "GRU cell that keeps its hidden state": stateful,
    "bidirectional LSTM, padding index": bilstm,
    "TransformerEncoder with padding": padded_encoder,
    "causal LM, tied head, labels -100": causal,
    "MultiheadAttention": attention,
    "dict batches and outputs, unused pooler": dictionaries,
    "EmbeddingBag": embedding_bag,
    "Embedding with max_norm": max_norm,
    "graph convolution, sparse adjacency": graph,
    "graph convolution, other nodes' labels -100": lambda: graph(-100),
    "deep sets with mask, Huber": deep_sets,
    "CTC": speech,
}
