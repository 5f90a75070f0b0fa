"""Means over examples, told from sums and from everything else."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.objective.objective import Objective
from landscape.objective.reduction import can_be_regrouped


def objective(loss, y=None, sizes=(40,)):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x = torch.randn(sum(sizes), 5, dtype=torch.float64)
    y = torch.arange(len(x)) % 3 if y is None else y
    return Objective(model, list(zip(x.split(sizes), y.split(sizes), strict=True)), loss)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.mark.parametrize("every", [2, 4])
def test_ignored_labels_in_a_pattern_do_not_pass_for_a_mean(every):
    """Contiguous halves have as many labels each, other batches have not."""
    y = torch.arange(40) % 3
    y[::every] = -100
    assert not can_be_regrouped(objective(cross_entropy, y).risk)


@pytest.mark.parametrize("scale", [1e-12, 1e-7, 1.0, 1e7])
def test_the_size_of_the_loss_is_no_matter(scale):
    mean = lambda m, b: scale * cross_entropy(m, b)  # noqa: E731
    peak = lambda m, b: scale * F.cross_entropy(m(b.x), b.y, reduction="none").logsumexp(0)  # noqa: E731
    assert can_be_regrouped(objective(mean).risk)
    assert not can_be_regrouped(objective(peak).risk)


def test_a_mean_near_zero_is_a_mean():
    """Losses of both signs that cancel: their size is that of the parts."""
    signs = torch.ones(40, dtype=torch.float64)
    signs[1::2] = -1
    centred = lambda m, b: (b.y + 1e-9 * m(b.x).sum(1)).mean()  # noqa: E731
    assert can_be_regrouped(objective(centred, signs).risk)


@pytest.mark.parametrize("q", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("sizes", [(9, 7), (8, 5, 3)])
def test_quantiles_are_no_sums(q, sizes):
    loss = lambda m, b: (m(b.x) - b.y[:, None]).square().quantile(q)  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert objective(loss, sizes=sizes).value() > 0


def test_a_sum_of_unequal_batches_is_refused():
    loss = lambda m, b: F.cross_entropy(m(b.x), b.y, reduction="sum") + 3  # noqa: E731
    with pytest.raises(ValueError, match="a sum over examples"):
        objective(loss, sizes=(9, 7))
