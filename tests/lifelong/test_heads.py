"""Outputs by task against a loop over examples; statistics by task against plain batch norms."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape.lifelong.heads import by_task, logits_of, of_task
from landscape.lifelong.settings import LifelongSettings
from landscape.network.batch import Batch

T, C, N, M = 3, 2, 12, 4


def batch(seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(N, M, generator=g, dtype=torch.float64)
    return Batch(
        {"x": x, "task": torch.randint(T, (N,), generator=g)}, torch.randint(C, (N,), generator=g)
    )


def linear():
    torch.manual_seed(0)
    return nn.Linear(M, T * C).double()


def test_each_example_has_the_outputs_of_its_own_head():
    plain, b = linear(), batch()
    found = by_task(copy.deepcopy(plain), LifelongSettings(tasks=T))(b.x)
    for row, x, task in zip(found, b.x["x"], b.x["task"].tolist(), strict=True):
        head = slice(task * C, (task + 1) * C)
        assert torch.allclose(row, plain.weight[head] @ x + plain.bias[head], atol=1e-14)


def test_heads_of_other_tasks_have_no_gradient():
    model, b = by_task(linear(), LifelongSettings(tasks=T)), batch()
    only = Batch({"x": b.x["x"], "task": torch.ones(N, dtype=torch.int64)}, b.y)
    F.cross_entropy(model(only.x), only.y).backward()
    grad = model.weight.grad.view(T, C, M)
    assert grad[1].abs().min() > 0 and not grad[[0, 2]].any()


def test_masked_training_and_tests_are_a_softmax_over_the_other_outputs_at_minus_infinity():
    """The -1e11 of other authors, without its rounding."""
    plain, b = linear(), batch()
    everything = plain(b.x["x"])
    own = torch.arange(T * C) // C == b.x["task"][:, None]
    expected = F.cross_entropy(everything.masked_fill(~own, -1e11), b.y + C * b.x["task"])
    found = F.cross_entropy(by_task(plain, LifelongSettings(tasks=T))(b.x), b.y)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_where_tests_alone_are_masked_training_sees_all_outputs():
    settings, b = LifelongSettings(tasks=T, masked="test"), batch()
    plain = linear()
    everything = plain(b.x["x"])
    model = by_task(plain, settings)
    assert torch.equal(model(b.x), everything)
    shifted = Batch(b.x, b.y + C * b.x["task"])
    best = logits_of(settings)(model, shifted).argmax(1)
    assert torch.equal(best // C, b.x["task"])
    assert torch.equal(best % C, of_task(everything, b.x["task"], T).argmax(1))
    assert logits_of(LifelongSettings(tasks=T)) is None and logits_of(None) is None


def test_inputs_without_a_task_are_answered_as_before():
    plain, b = linear(), batch()
    expected = plain(b.x["x"])
    model = by_task(plain, LifelongSettings(tasks=T))
    model(b.x)
    assert torch.equal(model(b.x["x"]), expected)


def test_a_pass_that_raises_leaves_no_task_behind():
    model = by_task(linear(), LifelongSettings(tasks=T))
    with pytest.raises(RuntimeError):
        model({"x": torch.zeros(2, M + 1).double(), "task": torch.zeros(2, dtype=torch.int64)})
    assert model(torch.zeros(2, M).double()).shape == (2, T * C)


def test_a_network_whose_outputs_no_tasks_can_share_is_refused():
    with pytest.raises(ValueError, match=r"with the classes of 4 tasks, \(n, 4·c\). Got shape"):
        by_task(linear(), LifelongSettings(tasks=4))(batch().x)


def normed():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(M, M), nn.BatchNorm1d(M), nn.Linear(M, T * C)).double()


def test_statistics_by_task_are_those_of_a_network_that_saw_that_task_alone():
    settings = LifelongSettings(tasks=T, batch_norm="per-task")
    model, twins = by_task(normed(), settings), [normed() for _ in range(T)]
    for j, twin in enumerate(twins):
        x = batch(j).x["x"] + j
        model.train()({"x": x, "task": torch.full((N,), j)})
        twin.train()(x)
    b = batch(9)
    found = model.eval()(b.x)
    for j, twin in enumerate(twins):
        rows = b.x["task"] == j
        expected = of_task(twin.eval()(b.x["x"][rows]), b.x["task"][rows], T)
        assert torch.allclose(found[rows], expected, atol=1e-14)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in twin.parameters())


def test_in_training_a_batch_moves_the_statistics_of_the_latest_task_alone():
    model = by_task(normed(), LifelongSettings(tasks=T, batch_norm="per-task"))
    b = batch()
    model.train()({"x": b.x["x"], "task": b.x["task"].clamp(max=1)})
    moved = [int(norm.num_batches_tracked) for norm in model[1].norms]
    assert moved == [0, 1, 0]
