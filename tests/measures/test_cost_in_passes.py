"""Cost of the newer measures in forward passes over the data, as their docstrings state it.

Counted by the multiplications of a network of matrix products, whatever the batches: a gradient and
a curvature product are measured alike, once each.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from landscape import Objective
from landscape.measures import (
    AdaptiveSharpness,
    BatchEigenvalues,
    Calibration,
    CriticalSharpness,
    FisherRao,
    PacBayes,
)
from landscape.measures.pac_bayes import sigma_of

RADII = {"radii": (0.01, 0.02), "average_radii": (0.1, 0.2)}


@pytest.fixture(scope="module")
def classifier():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 4)).double()
        x, y = torch.randn(64, 10, dtype=torch.float64), torch.randint(4, (64,))
    return lambda: Objective(model, [(x, y)], lambda m, b: F.cross_entropy(m(b.x), b.y))


def multiplications(ask):
    with FlopCounterMode(display=False) as counter:
        answer = ask()
    return counter.get_total_flops(), answer


@pytest.fixture(scope="module")
def passes(classifier):
    """A measure -> its cost in forward passes, and its record; costs of gradient and product."""
    subject = classifier()
    one, _ = multiplications(subject.value)
    gradient = multiplications(subject.grad)[0] / one
    subject.hvp(subject.w)  # keeps the graph
    product = multiplications(lambda: subject.hvp(subject.w))[0] / one

    def count(measure):
        subject = classifier()
        assert subject.summary  # every record has it, and it is taken once
        cost, record = multiplications(lambda: measure(subject))
        return cost / one, record

    return count, gradient, product


def test_critical_sharpness(passes):
    """The looks, three passes of the error, and 15 gradients for the product and its checks."""
    count, gradient, _ = passes
    cost, record = count(CriticalSharpness())
    assert record.looks <= 14
    assert 10 * gradient < cost - record.looks - 3 < 16 * gradient


@pytest.mark.parametrize("m", [64, 16])
def test_adaptive_sharpness(passes, m):
    """Passes and at most as many gradients by radius, step and start, and the draws."""
    count, gradient, _ = passes
    cost, _ = count(AdaptiveSharpness(**RADII, m=m, steps=5, restarts=1, draws=3))
    ascents = 2 * 2 * 5
    assert ascents + 2 * 3 < cost <= ascents * (1 + gradient) + 2 * 3 + 10


def test_pac_bayes(passes):
    """The scan up to σ and beyond it to 8σ, and three bisections in one doubling, for each form."""
    count, _, _ = passes
    cost, record = count(PacBayes(draws=3, quantity="loss"))
    assert cost == pytest.approx(record.passes + 1, abs=10)
    doublings = [sum(sigma_of(i) <= high for i in range(24)) for high in record.high]
    assert record.passes <= 3 * sum(20 + d for d in doublings)


def test_batch_eigenvalues(passes):
    """8 to 30 products on each batch, and as many on all, with five of the checks."""
    count, _, product = passes
    cost, record = count(BatchEigenvalues(m=16))
    assert len(record.values) == 4
    assert 2 * 8 * product < cost < 2 * 36 * product


@pytest.mark.parametrize(("measure", "most"), [(FisherRao(), 13), (Calibration(), 1)])
def test_of_the_outputs(passes, measure, most):
    count, *_ = passes
    cost, _ = count(measure)
    assert most - 3 <= cost <= most
