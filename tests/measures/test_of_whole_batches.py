"""Every measure on a segmentation with Dice loss, which is no mean over examples."""

import numpy as np
import pytest
import torch
from torch import nn

from landscape import Batch, Objective
from landscape.measures import MEASURES
from landscape.tasks.losses import Dice

SETTINGS = {
    "eigenvalues": {"k": 2},
    "trace": {"max_hvps": 40},
    "spectral_density": {"probes": 2, "steps": 5},
    "relative_flatness": {"layer": "0"},
    "noise": {"draws": 2, "sigmas": (0.0, 0.05)},
    "pruning": {"fractions": (0.0, 0.5)},
    "worst_case": {"radii": (0.1, 0.2), "steps": 2},
    "sharpness": {"radii": (0.1, 0.2), "steps": 2, "m": 4},
    "rise_area": {"rise": 0.05, "size": 11, "cells": 1.0},
    "adaptive_sharpness": {"radii": (0.1,), "average_radii": (0.1,), "steps": 2},
    "pac_bayes": {"quantity": "loss", "draws": 2, "deviation": 0.02},
    "surface": {"size": 3},
    "profile": {"lines": 3, "size": 3},
    "path": {"end": torch.zeros(18 * 4 + 4 + 4 * 3 + 3), "size": 3},
}
REFUSED = {
    "batch_eigenvalues": "mini-batches cannot be drawn",
    "fisher_rao": "needs a loss that curves alike",
}


@pytest.fixture(scope="module")
def objective():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 1), Last())
    x, y = torch.randn(12, 2, 6, 6), torch.randint(0, 3, (12, 6, 6))
    return Objective(model, [Batch(x[:6], y[:6]), Batch(x[6:], y[6:])], Dice())


class Last(nn.Module):
    """Classes last."""

    def forward(self, z):
        return z.movedim(1, -1)


@pytest.mark.parametrize("name", MEASURES)
def test_it_answers_and_the_batches_stay_whole(name, objective):
    seen = []

    class Watched(Dice):
        def __call__(self, model, batch):
            seen.append(batch.size)
            return super().__call__(model, batch)

    watched = Objective(objective.model, objective.given, Watched())
    del seen[:]
    measure = MEASURES[name](**SETTINGS.get(name, {}))
    if name in REFUSED:
        with pytest.raises(ValueError, match=REFUSED[name]):
            measure(watched)
        return
    record = measure(watched)
    assert record.point.score == "mean IoU"
    assert record.point.loss == pytest.approx(objective.value(), rel=1e-6)
    assert set(seen) <= {6, 2, 4}  # parts: the test whether batches may be cut
    if name == "sharpness":
        assert record.share.tolist() == [6, 6] and np.isfinite(record.sharpness).all()


def test_the_largest_eigenvalue_against_the_dense_hessian(objective):
    """Of the mean over whole batches, in float64, by a loop that shares no code."""
    names = [name for name, _ in objective.model.named_parameters()]
    sizes = [p.numel() for p in objective.model.parameters()]
    shapes = [p.shape for p in objective.model.parameters()]

    def loss(w):
        parts = {n: t.view(s) for n, t, s in zip(names, w.split(sizes), shapes, strict=True)}
        total = 0.0
        for batch in objective.given:
            z = torch.func.functional_call(objective.model.double(), parts, batch.x.double())
            p, y = z.softmax(-1), nn.functional.one_hot(batch.y, 3).double()
            ratio = (2 * (p * y).sum((0, 1, 2)) + 1) / (p.sum((0, 1, 2)) + y.sum((0, 1, 2)) + 1)
            total = total + (1 - ratio.mean()) / 2
        return total

    H = torch.autograd.functional.hessian(loss, objective.w.double())
    objective.model.float()
    expected = torch.linalg.eigvalsh(H).abs().max().item()
    found = MEASURES["eigenvalues"](k=1)(objective)
    assert abs(found.values[0]) == pytest.approx(expected, rel=1e-4)
