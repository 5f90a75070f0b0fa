"""Passes are renewed where something moves between them, and only there."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.objective.unmoved import Unmoved

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Net(nn.Module):
    """A linear model with one thing of each kind that a pass may move."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.inner, self.kept, self.state = nn.Dropout(), {"h": 0.0}, torch.zeros(2)

    def forward(self, x):
        return x @ self.w


def buffer(m, b):
    m.count += 1
    return m.count - 1


def written_past_autograd(m, b):
    m.count.data += 1
    return m.count - 1


def flipped(m, b):
    m.count.data.copy_(1 - m.count)
    return m.count - 1


def replaced(m, b):
    m.count = m.count + 1
    return m.count - 1


def attribute(m, b):
    m.state = m.state + 1
    return m.state[0] - 1


def in_a_dict(m, b):
    m.kept["h"] += 1.0
    return m.kept["h"] - 1


def mode(m, b):
    m.inner.train(not m.inner.training)
    return float(not m.inner.training)


def data(m, b):
    b.x.add_(1.0)
    return b.x[0, 0] - X[0, 0] - 1


def drawn(m, b):
    return 1e-9 * torch.rand(())


def by_numpy(m, b):
    return 1e-9 * np.random.rand()


def by_python(m, b):
    return 1e-9 * random.random()


MOVING = [buffer, written_past_autograd, flipped, replaced, attribute, in_a_dict, mode, data]
MOVING += [drawn, by_numpy, by_python]


def objective_of(move, logits=None):
    model = Net().eval()
    return Objective(
        model, [(X, None)], lambda m, b: m(b.x).square().mean() + 0 + move(m, b), logits=logits
    )


@pytest.mark.parametrize("move", MOVING)
def test_what_moves_is_renewed(move):
    objective = objective_of(move)
    points = [objective.w * t for t in (1.0, 0.5, 0.5, 2.0, 0.5)]
    expected = [objective.value(point) for point in points]
    assert expected[1] == expected[2] == expected[4]
    assert [loss for loss, _ in objective.evaluate(points)] == pytest.approx(expected, rel=1e-12)
    assert objective._evaluator._moves


def test_what_stands_still_is_copied_once(monkeypatch):
    objective = objective_of(lambda m, b: 0.0)
    objective.evaluate([objective.w])
    copies = []
    plain = type(objective.batches[0]).copy
    monkeypatch.setattr(type(objective.batches[0]), "copy", lambda b: copies.append(1) or plain(b))
    objective.evaluate([objective.w] * 9)
    assert len(copies) == 1 and not objective._evaluator._moves


def test_a_pass_that_raises_because_state_moved_is_repeated():
    def once(m, b):
        m.kept["h"] += 1.0
        if m.kept["h"] > 1:
            raise RuntimeError("a stale state")
        return 0.0

    objective = objective_of(once)
    assert len({loss for loss, _ in objective.evaluate([objective.w] * 3)}) == 1

    def broken(m, b):
        if m.w[0] > 5:
            raise RuntimeError("the model's own words")
        return 0.0

    objective = objective_of(broken)
    with pytest.raises(RuntimeError, match="own words"):
        objective.evaluate([objective.w, objective.w * 6])


def test_what_cannot_be_compared_counts_as_moved():
    objective = objective_of(lambda m, b: 0.0)
    with objective.risk.isolated():
        start = Unmoved(objective.risk, objective.batches, [b.copy() for b in objective.batches])
        assert start.holds()
        start._buffers["more"] = torch.zeros(())
        assert not start.holds()
    nan = Objective(
        Net().eval(), [(X.clone().fill_(float("nan")), None)],
        lambda m, b: m(b.x.nan_to_num(1.0)).square().mean(),
    )  # fmt: skip
    assert nan.evaluate([nan.w] * 2)[0][0] == 9.0 and nan._evaluator._moves


def test_logits_start_like_the_loss():
    seen = []

    def logits(m, b):
        seen.append(m.count.item())
        return F.one_hot(torch.zeros(6, dtype=torch.int64), 2)

    objective = objective_of(buffer, logits)
    objective.evaluate([objective.w] * 3)
    assert set(seen) == {0.0}
