"""An objective is of the model as it was made; where a part that it does not copy has changed, it
says so.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.objective.objective import Objective


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    net[0].requires_grad_(False)
    return net


def objective_of(model):
    torch.manual_seed(1)
    return Objective(model, [(torch.randn(12, 5), torch.arange(12) % 3)], cross_entropy)


def trains_on(model):
    model.requires_grad_(True)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(1, 5)).sum().backward()
    sgd.step()


def replaces_a_frozen_tensor(model):
    model[0].weight.data = torch.zeros(4, 5)


def replaces_a_module(model):
    model[2] = nn.Linear(4, 3)


def adds_a_module(model):
    model.append(nn.Softmax(1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (trains_on, "frozen parameters have changed, as '0.weight'"),
        (replaces_a_frozen_tensor, "frozen parameters have changed, as '0.weight'"),
        (replaces_a_module, "modules were replaced"),
        (adds_a_module, "modules were replaced, added"),
    ],
)
def test_what_changes_beside_the_weights_is_refused(model, change, words):
    objective = objective_of(model)
    objective.value()
    change(model)
    for ask in (objective.value, objective.grad, lambda: objective.evaluate([objective.w])):
        with pytest.raises(ValueError, match=f"{words}.*Make a new Objective"):
            ask()
    assert objective_of(model).value() > 0


def test_weights_may_be_trained_further(model):
    objective = objective_of(model)
    before = objective.value(), objective.hvp(objective.w)
    trained = [p for p in model.parameters() if p.requires_grad]
    model(torch.ones(1, 5)).sum().backward()
    torch.optim.SGD(trained, lr=0.1).step()
    assert objective.value() == before[0]
    assert torch.equal(objective.hvp(objective.w), before[1])


def test_weights_left_out_by_a_pattern_may_be_trained_further():
    net = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    x, y = torch.randn(12, 5), torch.arange(12) % 3
    objective = Objective(net, [(x, y)], cross_entropy, parameters="^1")
    before = objective.value()
    net[0].weight.data.zero_()
    assert objective.value() == before
