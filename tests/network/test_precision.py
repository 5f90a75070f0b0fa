"""Half-precision models are measured in float32 and stay as they are."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.measures.context import point_of
from landscape.objective.objective import Objective

HALF = [torch.bfloat16, torch.float16]


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def net():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    model[1].running_mean.normal_()
    model[0].weight.requires_grad_(False)
    return model


def data(dtype):
    g = torch.Generator().manual_seed(1)
    return [(torch.randn(9, 6, generator=g).to(dtype), torch.randint(0, 3, (9,), generator=g))]


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("policy", ["stored", "batch", "reestimated"])
def test_the_numbers_are_those_of_the_same_weights_in_float32(dtype, policy):
    model = net().to(dtype)
    before = {k: (id(v), v.clone()) for k, v in (*model.named_parameters(), *model.named_buffers())}
    objective = Objective(model, data(dtype), cross_entropy, batch_norm=policy)
    exact = Objective(
        copy.deepcopy(model).float(),
        [(x.float(), y) for x, y in data(dtype)],
        cross_entropy,
        batch_norm=policy,
    )
    v = torch.randn(objective.weights.n, generator=torch.Generator().manual_seed(2))
    assert objective.w.dtype == objective.grad().dtype == torch.float32
    assert torch.equal(objective.w, exact.w)
    assert objective.value() == exact.value()
    assert torch.equal(objective.grad(), exact.grad())
    assert torch.equal(objective.hvp(v), exact.hvp(v))
    assert objective.evaluate([v, 2 * v]) == exact.evaluate([v, 2 * v])
    after = dict((*model.named_parameters(), *model.named_buffers()))
    assert all(id(after[k]) == i and torch.equal(after[k], t) for k, (i, t) in before.items())
    assert all(t.dtype in (dtype, torch.int64) for t in after.values())


def test_the_record_says_both():
    point = point_of(Objective(net().bfloat16(), data(torch.bfloat16), cross_entropy))
    assert (point.dtype, point.model_dtype) == ("float32", "bfloat16")
    point = point_of(Objective(net().double(), data(torch.float64), cross_entropy))
    assert (point.dtype, point.model_dtype) == ("float64", "float64")


def test_some_layers_in_half_precision_and_a_tied_frozen_weight():
    model = net()
    model[3].half()
    twin = nn.Linear(6, 5, bias=False).bfloat16()
    twin.weight.requires_grad_(False)
    model.extra, model.again = twin, nn.Linear(6, 5, bias=False)
    model.again.weight = twin.weight
    seen = []

    def loss(m, b):
        seen.append(m.extra.weight is m.again.weight and m.extra.weight.dtype)
        return F.cross_entropy(m[3](m[2](m[1](m[0](b.x) + m.extra(b.x)))), b.y)

    objective = Objective(model, data(torch.float32), loss)
    seen.clear()
    assert torch.isfinite(objective.grad()).all()
    assert set(seen) == {torch.float32}
    assert objective.precision.dtype == "bfloat16, float16, float32"
    assert model.extra.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.complex64])
def test_other_numbers_are_refused(dtype):
    model = net()
    model.odd = nn.Parameter(torch.ones(2, dtype=dtype), requires_grad=False)
    with pytest.raises(ValueError, match=rf"real floating-point.*Got {dtype} in 'odd'."):
        Objective(model, data(torch.float32), cross_entropy)


@pytest.mark.parametrize("setting", ["medium", "high", "highest"])
def test_float32_is_float32_whatever_was_set_for_training(setting):
    seen = []

    def loss(m, b):
        backends = torch.backends
        seen.append((backends.mkldnn.matmul.fp32_precision, backends.cuda.matmul.fp32_precision))
        return cross_entropy(m, b)

    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(setting)
        own = torch.backends.mkldnn.matmul.fp32_precision
        Objective(net(), data(torch.float32), loss).grad()
        assert torch.backends.mkldnn.matmul.fp32_precision == own
        assert torch.get_float32_matmul_precision() == setting
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) == {("ieee", "ieee")}
