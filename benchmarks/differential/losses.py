"""Losses of many fields on small perceptrons."""

from collections import namedtuple
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import landscape as ls
from differential.case import Case, answer, cross_entropy, labelled, squares, uneven

Pair = namedtuple("Pair", ["left", "right"])


def mlp(*sizes: int, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers[:-1])


def relu() -> Case:
    return Case(mlp(5, 6, 3, activation=nn.ReLU), labelled(), cross_entropy, answer)


def smoothing() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.cross_entropy(model(b.x), b.y, label_smoothing=0.1)

    return Case(mlp(5, 6, 3, activation=nn.GELU), labelled(), loss, answer)


def class_weights() -> Case:
    """The weighted mean of torch divides by the weights of the batch's labels."""
    weight, (first, second) = torch.tensor([1.0, 3.0, 0.5]), labelled()
    shares = [float(weight[y].sum()) for _, y in (first, second)]
    batches = [ls.Batch(*b, weight=s) for b, s in zip((first, second), shares, strict=True)]

    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.cross_entropy(model(b.x), b.y, weight=weight)

    return Case(mlp(5, 6, 3), batches, loss, answer, weights=shares)


def focal() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        log_p = -F.cross_entropy(model(b.x), b.y, reduction="none")
        return (-((1 - log_p.exp()) ** 2) * log_p).mean()

    return Case(mlp(5, 6, 3), labelled(), loss, answer)


def multi_label() -> Case:
    batches = uneven(torch.randn(30, 5), (torch.rand(30, 4) < 0.3).double())

    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.binary_cross_entropy_with_logits(model(b.x), b.y)

    return Case(mlp(5, 6, 4), batches, loss)


def hinge() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.multi_margin_loss(model(b.x), b.y, p=2)

    return Case(mlp(5, 6, 3), labelled(), loss, answer, differences=True)


def quantile() -> Case:
    levels = torch.tensor([0.1, 0.5, 0.9])

    def loss(model: nn.Module, b: Any) -> Tensor:
        rest = b.y[:, None] - model(b.x)
        return torch.maximum(levels * rest, (levels - 1) * rest).mean()

    return Case(mlp(5, 6, 3), uneven(torch.randn(30, 5), torch.randn(30)), loss)


def poisson() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.poisson_nll_loss(model(b.x)[:, 0], b.y)

    return Case(mlp(5, 6, 1), uneven(torch.randn(30, 5), torch.poisson(torch.ones(30))), loss)


def heteroscedastic() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        mean, log_variance = model(b.x).unbind(1)
        return F.gaussian_nll_loss(mean, b.y, log_variance.exp())

    return Case(mlp(5, 6, 2), uneven(torch.randn(30, 5), torch.randn(30)), loss)


def contrastive() -> Case:
    """InfoNCE: every example is the others' negative, so it is a mean over no example alone."""

    def loss(model: nn.Module, b: Any) -> Tensor:
        left, right = (F.normalize(model(view), dim=1) for view in b.x)
        return F.cross_entropy(left @ right.T / 0.5, torch.arange(len(left)))

    x = torch.randn(12, 5)
    pair = Pair(x, x + 0.3 * torch.randn(12, 5))
    return Case(mlp(5, 6, 3), [ls.Batch(pair, torch.zeros(12))], loss, weights=[12.0])


def triplet() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        anchor, positive, negative = (model(b.x[name]) for name in ("a", "p", "n"))
        return F.triplet_margin_loss(anchor, positive, negative)

    def batch(n: int) -> ls.Batch:
        return ls.Batch({name: torch.randn(n, 5) for name in ("a", "p", "n")}, torch.zeros(n))

    return Case(mlp(5, 6, 3), [batch(12), batch(8)], loss, weights=[12.0, 8.0])


def named_tuples() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.softplus(-b.y * (model(b.x.left) - model(b.x.right))[:, 0]).mean()

    def batch(n: int) -> ls.Batch:
        return ls.Batch(Pair(torch.randn(n, 5), torch.randn(n, 5)), torch.randn(n).sign())

    return Case(mlp(5, 6, 1), [batch(12), batch(8)], loss, weights=[12.0, 8.0])


class Physics(nn.Module):
    """u'' = -sin x with u(0) = 0 held by the form of the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(1, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.net(x)


def residual(model: nn.Module, b: Any) -> Tensor:
    x = b.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    return (bend + x.sin()).square().mean()


def physics() -> Case:
    x = torch.linspace(0, 3, 20)[:, None]
    return Case(Physics(), uneven(x, x), residual)


def score_matching() -> Case:
    """An energy whose gradient by the input is the model."""

    def loss(model: nn.Module, b: Any) -> Tensor:
        x = b.x.requires_grad_()
        (score,) = torch.autograd.grad(-model(x).sum(), x, create_graph=True)
        traces = [torch.autograd.grad(s.sum(), x, create_graph=True)[0] for s in score.unbind(1)]
        trace = sum(t[:, i] for i, t in enumerate(traces))
        return (trace + score.square().sum(1) / 2).mean()

    return Case(mlp(2, 6, 1), uneven(torch.randn(20, 2), torch.zeros(20)), loss)


class Flow(nn.Module):
    """One affine coupling; answers with the negative log-likelihood of each row."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.log_scale = mlp(2, 5, 4), nn.Parameter(torch.randn(4) * 0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.log_scale.exp()
        shift, scale = self.net(x[:, :2]).chunk(2, 1)
        z = torch.cat([x[:, :2], x[:, 2:] * scale.tanh().exp() + shift], 1)
        return z.square().sum(1) / 2 - scale.tanh().sum(1) - self.log_scale.sum()


def flow() -> Case:
    return Case(Flow(), uneven(torch.randn(30, 4), torch.zeros(30)), lambda m, b: m(b.x).mean())


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = mlp(4, 5, 4), mlp(2, 5, 4)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x).chunk(2, 1)
        return self.decode(mean + noise * (log_variance / 2).exp()), mean, log_variance


def vae() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        found, mean, log_variance = model(*b.x)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        return ((found - b.x[0]).square().sum(1) + divergence).mean()

    def batch(n: int) -> Any:
        return (torch.randn(n, 4), torch.randn(n, 2)), torch.zeros(n)

    return Case(VAE(), [batch(12), batch(8)], loss, weights=[12.0, 8.0])


def distillation() -> Case:
    """The teacher is held by the loss alone."""
    teacher = mlp(5, 4, 3).requires_grad_(False)

    def loss(model: nn.Module, b: Any) -> Tensor:
        z, aim = model(b.x) / 2, teacher(b.x) / 2
        soft = F.kl_div(z.log_softmax(1), aim.softmax(1), reduction="batchmean")
        return F.cross_entropy(2 * z, b.y) + 4 * soft

    return Case(mlp(5, 6, 3), labelled(), loss, answer)


def penalty_inside() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        return squares(model, b) + 0.1 * sum(p.square().sum() for p in model.parameters())

    return Case(mlp(5, 6, 1), uneven(torch.randn(30, 5), torch.randn(30, 1)), loss)


def penalty_outside() -> Case:
    model = mlp(5, 6, 3)
    held = list(model.parameters())

    def loss(model: nn.Module, b: Any) -> Tensor:
        return cross_entropy(model, b) + 0.1 * sum(p.square().sum() for p in held)

    return Case(model, labelled(), loss, answer)


def functional() -> Case:
    model = mlp(5, 6, 3)
    held = dict(model.named_parameters())

    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(model, held, (b.x,)), b.y)

    return Case(model, labelled(), loss, answer)


def summed() -> Case:
    def loss(model: nn.Module, b: Any) -> Tensor:
        return F.cross_entropy(model(b.x), b.y, reduction="sum")

    return Case(mlp(5, 6, 3), labelled(), loss, answer)


class Uncertainty(nn.Module):
    """Two tasks with learned weights of their losses."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.log_variances = mlp(5, 6, 4), nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.body(x)
        return z[:, :3], z[:, 3]


def two_tasks() -> Case:
    def loss(model: Any, b: Any) -> Tensor:
        z, value = model(b.x)
        parts = torch.stack([F.cross_entropy(z, b.y["class"]), F.l1_loss(value, b.y["value"])])
        return (parts * (-model.log_variances).exp() + model.log_variances).sum()

    def batch(n: int) -> ls.Batch:
        y = {"class": torch.randint(3, (n,)), "value": torch.randn(n)}
        return ls.Batch(torch.randn(n, 5), y)

    return Case(Uncertainty(), [batch(18), batch(12)], loss, weights=[18.0, 12.0])


CASES = {
    "perceptron, ReLU": relu,
    "perceptron, GELU, label smoothing": smoothing,
    "class weights": class_weights,
    "focal loss": focal,
    "multi-label, binary cross-entropy": multi_label,
    "squared hinge": hinge,
    "quantile loss": quantile,
    "Poisson": poisson,
    "Gaussian with learned variance": heteroscedastic,
    "InfoNCE, one batch of pairs": contrastive,
    "triplet margin, dict of three": triplet,
    "ranking of named tuples": named_tuples,
    "physics-informed, two derivatives in the loss": physics,
    "score matching of an energy": score_matching,
    "normalising flow": flow,
    "VAE with given noise": vae,
    "distillation from a teacher in the loss": distillation,
    "penalty over model.parameters()": penalty_inside,
    "penalty over a list taken outside": penalty_outside,
    "functional_call with captured parameters": functional,
    "sum over uneven batches": summed,
    "two tasks, learned weights": two_tasks,
}
