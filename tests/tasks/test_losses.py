"""Dice against plain loops in float64, and what it asks of batches."""

import pytest
import torch
from torch import nn

from landscape import Batch, Objective
from landscape.measures.space.sampling_error import relative_stderr
from landscape.objective.reduction import can_be_regrouped
from landscape.tasks.losses import LOSSES, Dice
from landscape.tasks.registry import task


def naive(logits, y, smoothing=1.0):
    """Over all places: (n, places, classes) and (n, places), by loops."""
    p, ratios = logits.double().softmax(-1), []
    for c in range(logits.shape[-1]):
        overlap = named = true = 0.0
        for i in range(len(y)):
            for j in range(y.shape[1]):
                if y[i, j] < 0:
                    continue
                overlap += p[i, j, c].item() * (y[i, j] == c).item()
                named += p[i, j, c].item()
                true += (y[i, j] == c).item()
        ratios.append((2 * overlap + smoothing) / (named + true + smoothing))
    return 1 - sum(ratios) / len(ratios)


def example(first=0):
    torch.manual_seed(0)
    return torch.randn(4, 6, 3, dtype=torch.float64), torch.randint(first, 3, (4, 6))


@pytest.mark.parametrize("first", [0, -1])  # -1: left out
def test_over_the_batch(first):
    logits, y = example(first)
    found = Dice(smoothing=0.5)(nn.Identity(), Batch(logits, y))
    assert found.item() == pytest.approx(naive(logits, y, 0.5), abs=1e-14)


def test_over_each_image():
    logits, y = example()
    found = Dice(over="image")(nn.Identity(), Batch(logits, y))
    each = [naive(logits[i : i + 1], y[i : i + 1]) for i in range(4)]
    assert found.item() == pytest.approx(sum(each) / 4, abs=1e-14)


def test_by_hand():
    p = torch.tensor([[0.2, 0.8], [0.6, 0.4]], dtype=torch.float64)
    loss = Dice()(nn.Identity(), Batch(p.log()[None], torch.tensor([[1, 0]])))
    assert loss.item() == pytest.approx(1 - (2.6 / 3.2 + 2.2 / 2.8) / 2, abs=1e-14)


def test_an_absent_class_that_is_nowhere_named_has_the_ratio_one():
    logits = torch.tensor([[[99.0, 0, -99], [0, 99, -99]]], dtype=torch.float64)
    loss = Dice()(nn.Identity(), Batch(logits, torch.tensor([[0, 1]])))
    assert loss.item() == pytest.approx(0, abs=1e-12)


def test_the_gradient():
    logits, y = example()
    dice = Dice()
    assert torch.autograd.gradcheck(
        lambda z: dice(nn.Identity(), Batch(z, y)), logits.requires_grad_()
    )


@pytest.mark.parametrize("wrong", [{"over": "pixel"}, {"smoothing": 0.0}])
def test_settings(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
        Dice(**wrong)


def objective(loss):
    torch.manual_seed(0)
    x, y = torch.randn(24, 6, 4), torch.randint(0, 3, (24, 6))
    return Objective(nn.Linear(4, 3), [Batch(x[:12], y[:12]), Batch(x[12:], y[12:])], loss)


@pytest.mark.parametrize(("name", "may"), [("dice", False), ("dice-per-image", True)])
def test_only_a_mean_over_examples_is_cut(name, may):
    one = objective(LOSSES[name])
    assert can_be_regrouped(one.risk) is may is not LOSSES[name].of_whole_batches
    groups = [[Batch(b.x, b.y)] for b in one.given]
    if may:
        groups = [[Batch(b.x[i : i + 1], b.y[i : i + 1])] for b in one.given for i in range(12)]
    losses = torch.tensor([Objective(one.model, g, one.loss).value() for g in groups])
    expected = losses.std() / len(groups) ** 0.5 / losses.mean()
    assert relative_stderr(one) == pytest.approx(expected.item(), rel=1e-4)


def test_measures_of_a_run_take_whole_batches_of_the_training():
    chosen, part = task("canvas-digits"), Batch(torch.arange(100.0)[:, None], torch.arange(100))
    assert [b.size for b in chosen.pieces(part, 70, 32)] == [32, 32]
    assert [b.size for b in chosen.pieces(part, 5, 32)] == [32]
    assert [b.size for b in chosen.pieces(part, 500, 200)] == [100]
    assert [b.size for b in task("digits").pieces(part, 70, 32)] == [70]
