"""Convolutions and normalisation."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import landscape as ls
from differential.case import Case, answer, cross_entropy, labelled, pictures, squares, uneven


class Pooled(nn.Module):
    """Layers over pictures, mean over positions, a linear head."""

    def __init__(self, *layers: nn.Module, width: int = 4):
        super().__init__()
        self.body, self.head = nn.Sequential(*layers), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((-2, -1)))


def pooled(*layers: nn.Module, **options: Any) -> Case:
    return Case(Pooled(*layers), pictures(), cross_entropy, answer, **options)


def depthwise() -> Case:
    return pooled(
        nn.Conv2d(2, 4, 3, groups=2, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4),
        nn.GELU(), nn.Conv2d(4, 4, 1),
    )  # fmt: skip


def transposed() -> Case:
    down, up = nn.Conv2d(2, 4, 2, stride=2), nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2)
    last = nn.ConvTranspose2d(4, 2, 1)
    x = torch.randn(10, 2, 4, 4)
    rows = torch.arange(4)[:, None, None, None] // 2 * 2 + torch.arange(2)[None, :, None, None]
    return Case(
        nn.Sequential(down, nn.Softplus(), up, nn.Tanh(), last), uneven(x, x), squares,
        filters={
            "2.weight": rows.expand(4, 2, 2, 2),
            "4.weight": torch.arange(2)[None, :, None, None].expand(4, 2, 1, 1),
        },
    )  # fmt: skip


def causal_convolutions() -> Case:
    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv1d(1, 4, 2), nn.Conv1d(4, 1, 2, dilation=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.pad(F.silu(self.a(F.pad(x, (1, 0)))), (2, 0)))

    x = torch.randn(10, 1, 9)
    return Case(Causal(), uneven(x[..., :-1], x[..., 1:]), squares)


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2)
        self.reduce, self.expand = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = F.silu(self.norm(self.conv(x)))
        gate = self.expand(F.relu(self.reduce(z.mean((2, 3), keepdim=True))))
        return self.head((x + z * gate.sigmoid()).mean((2, 3)))


def squeeze_excite() -> Case:
    model = SqueezeExcite()
    model.norm.running_mean.normal_()
    model.norm.running_var.uniform_(0.5, 2.0)
    return Case(model, pictures(), cross_entropy, answer)


def batch_statistics() -> Case:
    return pooled(
        nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.GELU(), nn.Conv2d(4, 4, 1),
        nn.BatchNorm2d(4), nn.Tanh(), batch_norm="batch",
    )  # fmt: skip


class NormAct(nn.BatchNorm1d):
    """Batch norm with an activation, as image libraries fuse them."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(super().forward(x))


def statistics_of(calls: list[list[Tensor]], shares: list[float]) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of each batch's rows, its calls pooled, averaged by share."""
    rows = [torch.cat(of_batch) for of_batch in calls]
    mean = sum(s * r.mean(0) for s, r in zip(shares, rows, strict=True))
    return mean, sum(s * r.var(0) for s, r in zip(shares, rows, strict=True))


def normalised(z: Tensor, layer: Any, mean: Tensor, variance: Tensor) -> Tensor:
    return (z - mean) / (variance + layer.eps).sqrt() * layer.weight + layer.bias


def norm_with_activation() -> Case:
    def losses(model: Any, batches: list[Any]) -> list[Tensor]:
        first, norm, last = model
        mean, variance = statistics_of([[first(b.x)] for b in batches], [0.6, 0.4])
        outputs = [last(F.gelu(normalised(first(b.x), norm, mean, variance))) for b in batches]
        return [F.cross_entropy(z, b.y) for z, b in zip(outputs, batches, strict=True)]

    model = nn.Sequential(nn.Linear(5, 4), NormAct(4), nn.Linear(4, 3))
    return Case(
        model, labelled(), cross_entropy, answer, batch_norm="reestimated", reference=losses
    )


class Siamese(nn.Module):
    """One encoder with batch norm, called on both pictures of a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

    def encode(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.norm(self.a(x))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode(x[:, 0]), self.encode(x[:, 1])


def cosine(model: nn.Module, batch: Any) -> Tensor:
    return F.cosine_embedding_loss(*model(batch.x), batch.y, margin=0.2)


def pairs() -> list[Any]:
    return uneven(torch.randn(30, 2, 5), torch.randint(2, (30,)) * 2 - 1)


def siamese() -> Case:
    def losses(model: Any, batches: list[Any]) -> list[Tensor]:
        calls = [[model.a(b.x[:, i]) for i in range(2)] for b in batches]
        mean, variance = statistics_of(calls, [0.6, 0.4])
        encoded = [
            [model.b(torch.tanh(normalised(z, model.norm, mean, variance))) for z in of_batch]
            for of_batch in calls
        ]
        return [
            F.cosine_embedding_loss(*z, b.y, margin=0.2)
            for z, b in zip(encoded, batches, strict=True)
        ]

    return Case(Siamese(), pairs(), cosine, batch_norm="reestimated", reference=losses)


def siamese_batch() -> Case:
    return Case(Siamese(), pairs(), cosine, batch_norm="batch")


def group_norm() -> Case:
    return pooled(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 4, 2))


def instance_norm() -> Case:
    return pooled(nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.Softplus())


def frozen_norm() -> Case:
    """A detector's backbone: convolution and batch norm frozen, the rest trains."""
    model = Pooled(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1))
    for layer in model.body[:2]:
        layer.requires_grad_(False)
    model.body[1].running_var.uniform_(0.5, 2.0)
    return Case(model, pictures(), cross_entropy, answer, training=False)


class StochasticDepth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(2, 2, 3, padding=1) for _ in range(2))
        self.head = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            kept = not self.training or torch.rand(()) < 0.5
            x = x + F.gelu(block(x)) if kept else x
        return self.head(x.mean((2, 3)))


def stochastic_depth() -> Case:
    return Case(StochasticDepth(), pictures(), cross_entropy, answer, training=False)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.mid = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.up, self.out = nn.ConvTranspose2d(3, 3, 2, stride=2), nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.gelu(self.down(x))
        b = self.up(F.gelu(self.mid(F.avg_pool2d(a, 2))))
        return self.out(torch.cat([a, b], 1))


def segmentation(model: nn.Module, batch: Any) -> Tensor:
    """Cross-entropy without void pixels, and Dice on the others."""
    z, valid = model(batch.x), batch.y != 255
    p = z.softmax(1).movedim(1, -1)[valid]
    truth = F.one_hot(batch.y[valid], 3).to(p)
    dice = 1 - (2 * (p * truth).sum(0) + 1) / (p.sum(0) + truth.sum(0) + 1)
    return F.cross_entropy(z, batch.y, ignore_index=255) + dice.mean()


def unet() -> Case:
    x, y = torch.randn(5, 2, 4, 4), torch.randint(3, (5, 4, 4))
    y[:, 0, :3] = 255
    y[4] = 255
    y[4, 1:3] = 1
    batches = [ls.Batch(x[:3], y[:3], weight=3.0), ls.Batch(x[3:], y[3:], weight=2.0)]
    columns = torch.arange(3)[None, :, None, None].expand(3, 3, 2, 2)
    return Case(
        UNet(), batches, segmentation, lambda m, b: m(b.x).movedim(1, -1), weights=[3.0, 2.0],
        filters={"up.weight": columns},
    )  # fmt: skip


class Patches(nn.Module):
    """A small vision transformer's front: patches, class token, positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, 4, 2, stride=2)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 4))
        self.pos_embed = nn.Parameter(torch.randn(1, 5, 4))
        self.norm, self.mix, self.head = nn.LayerNorm(4), nn.Linear(5, 5), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.patch(x).flatten(2).mT
        z = torch.cat([self.cls_token.expand(len(z), -1, -1), z], 1) + self.pos_embed
        return self.head((z + self.mix(self.norm(z).mT).mT)[:, 0])


def vision_tokens() -> Case:
    return Case(
        Patches(), pictures(side=4), cross_entropy, answer, no_filters=("cls_token", "pos_embed")
    )


CASES = {
    "convolutions, grouped and depthwise": depthwise,
    "auto-encoder, grouped transposed convolutions": transposed,
    "causal dilated convolutions, next value": causal_convolutions,
    "squeeze-excite, stored batch norm": squeeze_excite,
    "batch norm by batch": batch_statistics,
    "batch norm with activation, re-estimated": norm_with_activation,
    "Siamese, cosine embedding, re-estimated": siamese,
    "Siamese, cosine embedding, by batch": siamese_batch,
    "group norm": group_norm,
    "instance norm": instance_norm,
    "frozen backbone with batch norm": frozen_norm,
    "stochastic depth": stochastic_depth,
    "U-Net, void pixels and Dice": unet,
    "class token and positions": vision_tokens,
}
