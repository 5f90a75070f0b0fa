"""Noisy labels in expectation, against all of them enumerated."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.network.batch import Batch
from landscape.tasks.label_noise import expected_cross_entropy


def test_it_is_the_mean_over_all_labellings():
    """Three examples of three classes: 27 labellings, each with its probability."""
    z = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, share = torch.tensor([0, 2, 1]), 0.3
    expected = 0.0
    for labels in itertools.product(range(3), repeat=3):
        found = torch.tensor(labels)
        p = math.prod((1 - share) if same else share / 2 for same in (found == y).tolist())
        expected += p * F.cross_entropy(z, found)
    got = expected_cross_entropy(share)(nn.Identity(), Batch(z, y))
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(4,), (2, 5)])
def test_without_noise_it_is_cross_entropy(shape):
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(*shape, 6, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 6, shape, generator=generator)
    got = expected_cross_entropy(0.0)(nn.Identity(), Batch(z, y))
    expected = F.cross_entropy(z.flatten(0, -2), y.flatten())
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=0)
