"""A subset of the parameters by name: a block of the whole, with the others held."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.measures import Eigenvalues, NoiseRobustness
from landscape.objective.objective import Objective


class Adapted(nn.Module):
    """A linear layer with a low-rank adapter beside it."""

    def __init__(self, inputs, outputs, rank=2):
        super().__init__()
        self.base = nn.Linear(inputs, outputs)
        self.lora_a = nn.Parameter(torch.randn(rank, inputs) / 3)
        self.lora_b = nn.Parameter(torch.randn(outputs, rank) / 3)

    def forward(self, x):
        return self.base(x) + x @ self.lora_a.T @ self.lora_b.T


def net(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(Adapted(3, 5), nn.Tanh(), Adapted(5, 3)).to(dtype)


def data(dtype=torch.float64):
    torch.manual_seed(1)
    return [(torch.randn(12, 3, dtype=dtype), torch.randint(0, 3, (12,)))]


def loss(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def dense(f, w):
    return torch.autograd.functional.hessian(f, w)


def test_a_subset_is_a_block_of_the_dense_hessian_of_all():
    model = net()
    whole, some = Objective(model, data(), loss), Objective(model, data(), loss, parameters="lora")
    parameters = dict(model.named_parameters())
    (x, y) = data()[0]

    def function(w):
        names, sizes = list(parameters), [p.numel() for p in parameters.values()]
        views = dict(zip(names, w.split(sizes), strict=True))
        views = {n: v.view(parameters[n].shape) for n, v in views.items()}
        return F.cross_entropy(torch.func.functional_call(model, views, (x,)), y)

    chosen = torch.cat([torch.full((p.numel(),), "lora" in n) for n, p in parameters.items()])
    block = dense(function, whole.w)[chosen][:, chosen]
    assert some.w.equal(whole.w[chosen])
    torch.testing.assert_close(some.grad(), whole.grad()[chosen])
    torch.testing.assert_close(some.hvp(torch.eye(len(block), dtype=some.w.dtype)), block)
    assert list(some.layers) == ["0.lora_a", "0.lora_b", "2.lora_a", "2.lora_b"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_subset_is_what_freezing_the_others_is(dtype):
    one, other = net(dtype), net(dtype)
    for name, p in other.named_parameters():
        p.requires_grad_("2.lora" in name or name == "2.base.bias")
    pattern = r"2\.(lora|base\.bias)"
    some = Objective(one, data(torch.float32), loss, parameters=pattern)
    frozen = Objective(other, data(torch.float32), loss)
    assert some.w.dtype is torch.float32
    assert some.value() == frozen.value()
    assert some.grad().equal(frozen.grad())
    values = [Eigenvalues(k=3)(objective).values for objective in (some, frozen)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    noisy = [NoiseRobustness(draws=3)(objective).loss for objective in (some, frozen)]
    assert noisy[0] == pytest.approx(noisy[1])


def test_training_the_others_further_moves_no_objective_and_the_model_stays_as_it_was():
    model = net()
    objective = Objective(model, data(), loss, parameters="lora")
    value, product = objective.value(), objective.hvp(objective.w)
    parameters = list(model.parameters())
    with torch.no_grad():
        model[0].base.weight += 1
    fresh = Objective(net(), data(), loss, parameters="lora")
    assert objective.value() == value == fresh.value()
    assert objective.risk.in_float64().value(objective.w) == pytest.approx(value, rel=1e-12)
    objective.hvp(objective.w, objective.w + 0.1)
    torch.testing.assert_close(objective.hvp(objective.w), product)
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))


def test_a_tied_parameter_is_found_by_either_of_its_names():
    torch.manual_seed(0)
    model = nn.ModuleDict({"inner": nn.Linear(3, 3), "outer": nn.Linear(3, 3)})
    model["outer"].weight = model["inner"].weight

    def twice(model, batch):
        return F.cross_entropy(model["outer"](model["inner"](batch.x).tanh()), batch.y)

    x, y = data(torch.float32)[0]
    objective = Objective(model, [(x, y)], twice, parameters=r"outer\.weight")
    assert list(objective.layers) == ["inner.weight"]


def test_the_record_says_which_parameters():
    record = Eigenvalues(k=1)(Objective(net(), data(), loss, parameters="lora"))
    assert record.point.parameters == "lora"
    assert record.point.n == 32


@pytest.mark.parametrize(
    ("pattern", "words"), [("head", "Got 'head'; the names are 0.lora_a"), ("(", "regular expr")]
)
def test_patterns_that_cannot_be_are_refused(pattern, words):
    with pytest.raises(ValueError, match=words):
        Objective(net(), data(), loss, parameters=pattern)
