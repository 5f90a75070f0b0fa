"""Models that move buffers or attributes in a pass: every pass of an objective starts alike."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.network.batch import Batch

G = torch.Generator().manual_seed(0)
X, Y = torch.randn(9, 4, generator=G).double(), torch.arange(9) % 3
BATCHES = [Batch(X[:5], Y[:5]), Batch(X[5:], Y[5:])]


class Centred(nn.Module):
    """A centre in a buffer follows the features, in eval mode, too."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(3, 3)
        self.register_buffer("centre", torch.zeros(3))

    def forward(self, x):
        z = self.a(x)
        answer = self.b(torch.tanh(z - self.centre))
        self.centre.mul_(0.5).add_(2 * z.detach().mean(0))
        return answer


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def objective(batches=BATCHES, **options):
    torch.manual_seed(0)
    return Objective(Centred().double(), batches, cross_entropy, **options)


@pytest.mark.parametrize("memory", [0, 2**30])
def test_products_are_of_the_function_whose_gradient_is_taken(memory):
    o, h = objective(BATCHES[:1], memory=memory), 1e-5
    v = torch.randn(o.weights.n, generator=G).double()
    numeric = (o.grad(o.w + h * v) - o.grad(o.w - h * v)) / (2 * h)
    for _ in range(2):
        torch.testing.assert_close(o.hvp(v), numeric, rtol=1e-6, atol=1e-9)


def test_given_logits_do_not_move_the_state_of_the_loss():
    seen = []

    def logits(model, batch):
        seen.append(model(batch.x))
        return seen[-1]

    given = objective(logits=logits)
    given.value_and_accuracy()
    torch.manual_seed(0)
    torch.testing.assert_close(seen[0], Centred().double()(X[:5]))
    assert given.value_and_accuracy() == pytest.approx(objective().value_and_accuracy(), abs=1e-12)
    assert given.value_and_accuracy()[0] == pytest.approx(given.value(), abs=1e-12)
    assert given.evaluate([given.w])[0] == pytest.approx(given.value_and_accuracy(), abs=1e-9)
