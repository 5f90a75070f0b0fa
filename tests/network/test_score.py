"""Scores against sets of places, counted one by one; the same whatever the batches."""

import math

import pytest
import torch

from landscape import Batch, Objective
from landscape.network.score import ACCURACY, MEAN_IOU, score_of
from landscape.tasks.losses import Dice


def by_sets(logits, y, classes):
    """Mean over classes of |named ∩ true| / |named ∪ true|."""
    places = [i for i, label in enumerate(y.flatten().tolist()) if 0 <= label < classes]
    named, true = logits.flatten(0, -2).argmax(1).tolist(), y.flatten().tolist()
    ratios = []
    for c in range(classes):
        a, b = {i for i in places if named[i] == c}, {i for i in places if true[i] == c}
        if a | b:
            ratios.append(len(a & b) / len(a | b))
    return sum(ratios) / len(ratios)


def value(score, logits, y):
    right, of = score.counts(logits, y, score.targets(y, logits.shape[-1]))
    return (right.double() / of).nanmean().item()


@pytest.mark.parametrize("labels", [(0, 5), (-1, 6), (2, 4)])  # with ignored ones; with absent ones
def test_mean_iou(labels):
    torch.manual_seed(0)
    logits, y = torch.randn(7, 4, 6, 5), torch.randint(*labels, (7, 4, 6))
    logits[..., 4] -= 9 * (labels == (2, 4))
    assert value(MEAN_IOU, logits, y) == pytest.approx(by_sets(logits, y, 5), abs=1e-15)


def test_all_background_by_hand():
    logits = torch.tensor([1.0, 0, 0]).expand(10, 3)
    y = torch.tensor([0] * 7 + [1] * 2 + [2])
    assert value(MEAN_IOU, logits, y) == pytest.approx(0.7 / 3)
    assert value(ACCURACY, logits, y) == pytest.approx(0.7)


@pytest.mark.parametrize("size", [1, 3, 10])
def test_over_the_whole_set_whatever_the_batches(size):
    """Intersections and unions are added up before they are divided."""
    torch.manual_seed(0)
    model, x, y = torch.nn.Linear(4, 3), torch.randn(10, 6, 4), torch.randint(0, 3, (10, 6))
    pieces = [Batch(x[i : i + size], y[i : i + size]) for i in range(0, 10, size)]
    objective = Objective(model, pieces, Dice())
    assert score_of(objective.loss) is MEAN_IOU
    expected = by_sets(model(x).detach(), y, 3)
    assert objective.accuracy() == pytest.approx(expected, abs=1e-12)
    many = objective.evaluate([objective.w, objective.w])
    assert many[1][1] == pytest.approx(expected, abs=1e-12)


def test_real_targets_have_no_score():
    objective = Objective(
        torch.nn.Linear(2, 1), [(torch.ones(3, 2), torch.ones(3, 1))],
        lambda model, batch: (model(batch.x) - batch.y).square().mean(),
    )  # fmt: skip
    assert math.isnan(objective.accuracy())
