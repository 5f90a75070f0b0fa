"""Groups of weights: rows and output channels, and whole tensors where there is no filter."""

import pytest
import torch
from torch import nn

from landscape import Objective
from landscape.measures.space import filters


def test_lengths_by_filter_and_by_tensor():
    model = nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 2)).double()
    v = [3.0, 4.0, 0.0, 2.0, 6.0, 8.0, 5.0, 12.0, 1.0, 1.0]  # gain, shift, two rows, bias
    batches = [(torch.ones(1, 2).double(), None)]
    objective = Objective(model, batches, lambda m, b: m(b.x).mean())
    v = torch.tensor(v, dtype=torch.float64)
    rows = filters.length(filters.by_filter(objective), v).tolist()
    assert rows == pytest.approx([5, 5, 2, 2, 10, 10, 13, 13, 2**0.5, 2**0.5])
    largest = filters.largest(filters.by_tensor(objective), -v).tolist()
    assert largest == [4, 4, 2, 2, 12, 12, 12, 12, 1, 1]
    means = filters.rms(filters.by_filter(objective), v).tolist()
    torch.testing.assert_close(torch.tensor(means), torch.tensor(rows) / 2**0.5)
    chosen = [filters.mask(objective, **s).sum().item() for s in ({}, {"biases": True})]
    assert chosen == [4, 6]
    assert filters.mask(objective, normalisation=True).tolist() == [True] * 8 + [False] * 2
