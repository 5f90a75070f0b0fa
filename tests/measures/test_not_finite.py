"""A loss that is finite where its gradient is not: nothing is flat because of it."""

import pytest
import torch
from torch import nn

from landscape import measures
from landscape.objective.objective import Objective


@pytest.fixture
def objective():
    """Distances of pairs, one of which is of a point to itself."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    a, b = torch.randn(12, 5), torch.randn(12, 5)
    b[3] = a[3]

    def distance(model, batch):
        one, other = map(model, batch.x)
        return (one - other).square().sum(1).sqrt().mean()

    return Objective(model, [((a, b), torch.zeros(12))], distance)


@pytest.mark.parametrize(
    "measure",
    [
        measures.Sharpness(),
        measures.AdaptiveSharpness(),
        measures.WorstCase(),
        measures.Eigenvalues(k=1),
        measures.Eigenvalues(k=1, backend="pyhessian"),
        measures.Trace(),
    ],
    ids=lambda measure: type(measure).__name__,
)
def test_a_gradient_that_is_not_finite_is_refused(measure, objective):
    assert objective.value() > 0
    with pytest.raises(ValueError, match=r"gradient of the loss is not finite.*norm of 0"):
        measure(objective)
