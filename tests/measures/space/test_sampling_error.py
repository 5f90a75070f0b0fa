"""The stated error of a mean loss against the spread over fresh draws of the examples."""

import math

import pytest
import torch
from torch import nn

from landscape import Batch, Objective
from landscape.measures.space.sampling_error import relative_stderr


@pytest.fixture
def mean_of():
    """L = mean of the numbers x: every group's loss is known."""

    def make(*batches, policy="stored", weights=(None, None, None)):
        model = nn.Linear(1, 1, bias=False).double()
        nn.init.ones_(model.weight)
        made = [
            Batch(torch.as_tensor(x, dtype=torch.float64).view(-1, 1), None, weight)
            for x, weight in zip(batches, weights, strict=False)
        ]
        return Objective(model, made, lambda m, b: m(b.x).mean(), batch_norm=policy)

    return make


def test_up_to_32_examples_it_is_the_textbook_formula(mean_of):
    x = torch.linspace(1, 5, 20, dtype=torch.float64) ** 2
    expected = x.std() / math.sqrt(20) / x.mean()
    assert relative_stderr(mean_of(x)) == pytest.approx(float(expected))
    assert relative_stderr(mean_of(x[:12], x[12:])) == pytest.approx(float(expected))


def test_it_covers_fresh_draws(mean_of):
    """4000 examples in 32 groups: the stated error is that of the mean over fresh data sets."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(200, 4000, generator=generator, dtype=torch.float64) ** 4
    truth = float(draws.mean(1).std() / draws.mean())
    stated = [relative_stderr(mean_of(x)) for x in draws[:20]]
    assert sum(stated) / 20 == pytest.approx(truth, rel=0.15)


def test_batches_count_by_weight(mean_of):
    """Two whole batches that cannot be split: s = (1, 3)/4, L = (2, 4)."""
    subject = mean_of([2.0], [4.0], weights=(1.0, 3.0))
    variance = 2 * (0.25**2 * 1.5**2 + 0.75**2 * 0.5**2)
    assert relative_stderr(subject) == pytest.approx(math.sqrt(variance) / 3.5)


def test_what_cannot_be_told_apart_is_nan(mean_of):
    assert math.isnan(relative_stderr(mean_of([3.0])))
    assert math.isnan(relative_stderr(mean_of([1.0, -1.0])))
    assert math.isnan(relative_stderr(mean_of(torch.arange(40.0), policy="batch")))


def test_examples_that_are_no_rows_stay_together(mean_of):
    subject = mean_of([1.0, 2.0], [5.0, 6.0])
    subject.risk.given = tuple(Batch(b.x, torch.zeros(7)) for b in subject.given)
    assert relative_stderr(subject) == pytest.approx(2 / 3.5)


def test_a_model_that_takes_whole_batches_alone_is_nan():
    layer, x = torch.nn.Linear(2, 1), torch.ones(4, 2)
    mixed = Objective(layer, [Batch(x, x)], lambda m, b: (torch.ones(4, 4) @ m(b.x)).mean())
    assert math.isnan(relative_stderr(mixed))
