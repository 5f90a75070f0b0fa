"""Products by forward over reverse against dense Hessians, and graphs kept or rebuilt."""

import pytest
import torch
from torch import nn

from landscape import Objective
from landscape.measures.curvature.forward_over_reverse import forward_over_reverse
from landscape.network.parameter_block import Block
from landscape.objective import curvature_products

CASES = [
    ("mlp", "stored"),
    ("relu", "stored"),
    ("layer_norm", "stored"),
    ("tied", "stored"),
    ("conv", "stored"),
    ("conv", "batch"),
    ("conv", "reestimated"),
]


@pytest.mark.parametrize(("name", "policy"), CASES)
def test_it_is_the_dense_hessian(objective, dense_hessian, name, policy):
    made = objective(name, batch_norm=policy)
    v = torch.randn(made.weights.n, dtype=torch.float64)
    block = Block.of(made.model, made.weights, None)
    product = forward_over_reverse(made.risk, block, v, made.w)
    torch.testing.assert_close(product, dense_hessian(made) @ v)
    assert not product.requires_grad


def test_of_a_module_and_at_another_point(objective, dense_hessian):
    made, other = objective(), objective(seed=1)
    block = Block.of(made.model, made.weights, "2")
    v = torch.randn(18, dtype=torch.float64)
    head = slice(35, 53)
    product = forward_over_reverse(made.risk, block, v, made.w)
    torch.testing.assert_close(product, dense_hessian(made)[head, head] @ v)
    whole = Block.of(made.model, made.weights, None)
    v = torch.randn(53, dtype=torch.float64)
    torch.testing.assert_close(
        forward_over_reverse(made.risk, whole, v, other.w), dense_hessian(other) @ v
    )


def test_a_linear_loss_has_no_curvature(bare_objective):
    made = bare_objective(torch.ones(3), lambda w: w.sum())
    block = Block.of(made.model, made.weights, None)
    product = forward_over_reverse(made.risk, block, made.w, made.w)
    torch.testing.assert_close(product, torch.zeros(3, dtype=torch.float64))


def test_nothing_is_left_behind(objective):
    made = objective("conv")
    before = [t.clone() for t in (*made.model.parameters(), *made.model.buffers())]
    made_block = Block.of(made.model, made.weights, None)
    forward_over_reverse(made.risk, made_block, made.w, made.w)
    after = [*made.model.parameters(), *made.model.buffers()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["mlp", "conv", "tied"])
def test_kept_and_rebuilt_graphs_agree(objective, name):
    kept, rebuilt = objective(name, memory=2**30), objective(name, memory=0)
    v = torch.randn(kept.weights.n, dtype=torch.float64)
    for _ in range(2):
        torch.testing.assert_close(kept.hvp(v), rebuilt.hvp(v), rtol=1e-12, atol=1e-14)
    assert kept.keeps_graphs and not rebuilt.keeps_graphs


@pytest.mark.parametrize(("free", "keeps"), [(0, False), (2**40, True)])
def test_graphs_take_a_share_of_what_is_free(objective, monkeypatch, free, keeps):
    monkeypatch.setattr("landscape.utils.memory.free_bytes", lambda device: free)
    made = objective()
    made.hvp(made.w)
    assert made.keeps_graphs is keeps


def test_the_share_by_device(monkeypatch):
    monkeypatch.setattr("landscape.utils.memory.free_bytes", lambda device: 2**32)
    shares = [curvature_products.graph_bytes(torch.device(d)) for d in ("cpu", "cuda")]
    assert shares == [2**30, 2**31]
    monkeypatch.setattr("landscape.utils.memory.free_bytes", lambda device: None)
    assert curvature_products.graph_bytes(torch.device("cpu")) == 2**30


def test_recurrent_kernels_have_no_forward_derivative():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTM(3, 2, batch_first=True)

        def forward(self, x):
            return self.cell(x)[0][:, -1]

    made = Objective(Last(), [(torch.ones(2, 4, 3), torch.ones(2, 2))], _mse)
    block = Block.of(made.model, made.weights, None)
    with pytest.raises(NotImplementedError):
        forward_over_reverse(made.risk, block, made.w, made.w)


def _mse(model, batch):
    return (model(batch.x) - batch.y).square().mean()
