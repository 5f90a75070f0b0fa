"""Bezier curves against closed forms, and a path along one."""

import math

import pytest
import torch
from torch import nn

from landscape import Objective
from landscape.measures import Path
from landscape.measures.connection.bezier import CurveTraining, curve_length, on_curve, rate

F64 = torch.float64
START, END = torch.tensor([1.0, 0.0], dtype=F64), torch.tensor([0.0, 1.0], dtype=F64)


class Vector(nn.Module):
    def __init__(self, w=(1.0, 0.0)):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=F64))


def bowl(model, batch):
    return (model.w**2).sum() / 2 + 0 * batch.x.sum()


def ring(model, batch):
    return ((model.w**2).sum() - 1) ** 2 / 4 + 0 * batch.x.sum()


def objective_of(loss):
    return Objective(Vector(), [(torch.zeros(4, 1), None)], loss)


def test_ends_are_exact_and_swap():
    bend = torch.tensor([0.3, -2.0], dtype=F64)
    assert torch.equal(on_curve(START, bend, END, 0.0), START)
    assert torch.equal(on_curve(START, bend, END, 1.0), END)
    torch.testing.assert_close(on_curve(START, bend, END, 0.3), on_curve(END, bend, START, 0.7))


def test_lengths():
    assert curve_length(START, (START + END) / 2, END) == pytest.approx(math.sqrt(2))
    for bend, expected in ((-0.75, 2.3698506), (0.9226784938, 1.5680589)):
        theta = bend * torch.ones(2, dtype=F64)
        assert curve_length(START, theta, END) == pytest.approx(expected, abs=2e-6)


def test_learning_rate():
    assert [rate(s) for s in (0.0, 0.5, 0.9, 1.0)] == [1.0, 1.0, 0.01, 0.01]
    assert rate(0.7) == pytest.approx(0.505)


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "expected"), [(bowl, -0.75), (ring, 0.9226784938)])
def test_the_bend_is_that_of_the_least_mean_loss(loss, expected):
    """One t a step: noise of a few per cent is left at 1 % of the learning rate."""
    training = CurveTraining(3000, 4, 0.3, 0.0, 0)
    theta = training.bend(objective_of(loss), START, END, lambda _: None)
    assert theta == pytest.approx(expected * torch.ones(2, dtype=F64), abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_the_first_step_is_that_of_the_bend(seed):
    """Of the bowl −lr · 2t(1 − t) · φ(t) with φ(t) = (1 − t, t): its direction tells t."""
    theta = CurveTraining(1, 4, 0.1, 0.0, seed).bend(objective_of(bowl), START, END, lambda _: None)
    step = theta - (START + END) / 2
    t = float(step[1] / step.sum())
    assert float(step.sum()) == pytest.approx(-0.1 * 2 * t * (1 - t), rel=1e-9)


def test_weight_decay_is_of_the_point():
    """A flat loss with decay 1 is the bowl."""
    flat = objective_of(lambda m, b: 0 * m.w.sum() + 0 * b.x.sum())
    one = CurveTraining(20, 4, 0.1, 1.0, 0).bend(flat, START, END, lambda _: None)
    other = CurveTraining(20, 4, 0.1, 0.0, 0).bend(objective_of(bowl), START, END, lambda _: None)
    torch.testing.assert_close(one, other)


def test_a_path_along_the_curve():
    """The ring: the line has a barrier of 1/16, the curve nearly none."""
    calls = []
    record = Path(end=END, size=61, shape="bezier", epochs=300, batch_size=4, lr=0.3)(
        objective_of(ring), progress=lambda done, total: calls.append((done, total))
    )
    assert record.straight_barrier == pytest.approx(0.0625, abs=1e-4)
    assert record.barrier < 0.002
    assert record.curve_length == pytest.approx(1.57, abs=0.02)
    assert record.bend > 0.4
    assert record.length == pytest.approx(math.sqrt(2))
    assert calls == sorted(calls) and calls[-1][0] == calls[-1][1]


def test_a_line_is_as_before():
    record = Path(end=END, size=3)(objective_of(ring))
    assert record.straight_barrier == record.barrier == pytest.approx(0.0625)
    assert record.bend is None and math.isnan(record.unmatched_barrier)


def test_stored_statistics_are_refused():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    x = torch.randn(6, 2, dtype=F64)
    subject = Objective(model, [(x, x)], lambda m, b: m(b.x).square().mean(), batch_norm="stored")
    with pytest.raises(ValueError, match="batch norm that fits its points"):
        Path(end=subject.w, shape="bezier")(subject)


def test_batch_norm_is_reestimated_along_the_curve():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 2))
        x, y = torch.randn(16, 2), torch.randint(2, (16,))
    subject = Objective(model, [(x, y)], lambda m, b: nn.functional.cross_entropy(m(b.x), b.y))
    record = Path(end=-subject.w, size=5, shape="bezier", epochs=5, batch_size=8)(subject)
    assert record.point.batch_norm == "reestimated" and not record.stale
    assert record.loss.mean() < record.straight_loss.mean()


@pytest.mark.parametrize(
    "settings",
    [{"shape": "arc"}, {"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"weight_decay": -1.0}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}` must be"):
        Path(**settings)
