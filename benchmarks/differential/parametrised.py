"""Weights computed from other parameters."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from differential.case import Case, answer, cross_entropy, labelled


def classified(model: nn.Module, **options: Any) -> Case:
    return Case(model, labelled(), cross_entropy, answer, **options)


def old_weight_norm() -> Case:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        first = torch.nn.utils.weight_norm(nn.Linear(5, 4))
    return classified(
        nn.Sequential(first, nn.Tanh(), nn.Linear(4, 3)),
        no_filters=("0.weight_g",),
        differences=True,
    )


def weight_norm() -> Case:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 4)), nn.SiLU(), nn.Linear(4, 3))
    return classified(model, no_filters=("0.parametrizations.weight.original0",), differences=True)


def spectral_norm() -> Case:
    first = parametrizations.spectral_norm(nn.Linear(5, 4))
    return classified(nn.Sequential(first, nn.Tanh(), nn.Linear(4, 3)), training=False)


def orthogonal() -> Case:
    first = parametrizations.orthogonal(nn.Linear(4, 4), orthogonal_map="cayley")
    return classified(nn.Sequential(nn.Linear(5, 4), first, nn.Tanh(), nn.Linear(4, 3)))


class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.triu() + x.triu(1).T


def symmetric() -> Case:
    first = nn.Linear(5, 5)
    parametrize.register_parametrization(first, "weight", Symmetric())
    return classified(nn.Sequential(first, nn.Tanh(), nn.Linear(5, 3)))


class Merging(nn.Module):
    """A low-rank adapter that adds itself to the frozen weight in eval()."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(3, 5) * 0.3, requires_grad=False)
        self.a = nn.Parameter(torch.randn(2, 5) * 0.3)
        self.b = nn.Parameter(torch.randn(3, 2) * 0.3)
        self.merged = False

    def train(self, mode: bool = True) -> "Merging":
        super().train(mode)
        if self.merged == mode:
            self.w.data += (-1 if mode else 1) * self.b.data @ self.a.data
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.w if self.merged else self.w + self.b @ self.a).T


def adapter() -> Case:
    return classified(Merging())


CASES = {
    "weight norm, older form": old_weight_norm,
    "weight norm, parametrised": weight_norm,
    "spectral norm": spectral_norm,
    "orthogonal weight": orthogonal,
    "symmetric weight, own parametrisation": symmetric,
    "adapter that merges in eval()": adapter,
}
