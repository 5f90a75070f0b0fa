"""Measures of many points against a loop of a user's: load_state_dict, float64, one at a time."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective, measures
from landscape.linalg import probes
from landscape.measures.space import scales

G = torch.Generator().manual_seed(0)


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))


def conv():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 10)
    )


def subject(make, dtype):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make()
        model(torch.randn(90, 1, 8, 8))  # statistics of its own
    x, y = torch.randn(90, 1, 8, 8, generator=G), torch.randint(0, 10, (90,), generator=G)
    data = [(x[:70].to(dtype), y[:70]), (x[70:].to(dtype), y[70:])]
    return Objective(model.to(dtype), data, lambda m, b: F.cross_entropy(m(b.x), b.y))


@torch.no_grad()
def naive(objective, points):
    """(L, accuracy) of each point, float64."""
    model = copy.deepcopy(objective.model).double().eval()
    state, found = model.state_dict(), []
    x, y = (torch.cat([getattr(b, name) for b in objective.batches]) for name in ("x", "y"))
    for point in points:
        for name, part in objective.layers.items():
            state[name] = point[part].view(state[name].shape).double()
        model.load_state_dict(state)
        z = model(x.double())
        found.append((F.cross_entropy(z, y).item(), (z.argmax(1) == y).double().mean().item()))
    return np.array(found)


def check(objective, record, points, dtype, *shape):
    expected = naive(objective, points).reshape(*shape, 2)
    rtol, flips = (1e-12, 0) if dtype is torch.float64 else (3e-6, 1 / 90 + 1e-9)
    np.testing.assert_allclose(record.loss, expected[..., 0], rtol=rtol)
    np.testing.assert_allclose(record.accuracy, expected[..., 1], rtol=0, atol=flips)


KINDS = pytest.mark.parametrize(
    ("make", "dtype"), [(mlp, torch.float32), (mlp, torch.float64), (conv, torch.float64)]
)


@KINDS
def test_surface(make, dtype):
    objective = subject(make, dtype)
    record, plane = measures.Surface(size=5)(objective), measures.random_plane(objective)
    assert objective._evaluator.plan.in_place
    points = [plane.origin + x * plane.d1 + y * plane.d2 for x in record.x for y in record.y]
    check(objective, record, points, dtype, 5, 5)
    assert record.loss[2, 2] == objective.evaluate([objective.w])[0][0]
    rows = [plane.point(x, y) for x in record.x for y in record.y]
    assert record.loss.flatten().tolist() == [loss for loss, _ in objective.evaluate(rows)]


@KINDS
def test_noise(make, dtype):
    objective, sigmas = subject(make, dtype), (0.0, 0.02, 0.1)
    record = measures.NoiseRobustness(sigmas=sigmas, draws=8)(objective)
    unit = scales.unit(objective, "max", False, False)
    draws = list(probes.gaussians(objective.w, 8, 0))
    points = [objective.w + s * (unit * xi) for s in sigmas for xi in draws]
    check(objective, record, points, dtype, 3, 8)


@KINDS
def test_lines(make, dtype):
    objective = subject(make, dtype)
    w, plane = objective.w, measures.random_plane(objective)
    record = measures.Profile(lines=2, size=9)(objective)
    points = [w + x * d for d in (plane.d1, plane.d2) for x in record.x]
    check(objective, record, points, dtype, 2, 9)
    if make is mlp:  # batch norm is re-estimated between minima
        end = w + plane.d1
        path = measures.Path(end=end, size=17)(objective)
        check(objective, path, [(1 - t) * w + t * end for t in path.t], dtype, 17)
        assert path.loss[-1] == objective.evaluate([end])[0][0]
