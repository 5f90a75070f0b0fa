"""What every measure promises: no trace at the model (R1), no number that was not computed (R9), an
uncertainty (R10), answers that nothing later changes (R11), records that survive a file.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.analysis.subject import DATA_OF
from landscape.measures import MEASURES
from landscape.measures.context import settings_of
from landscape.records import load
from landscape.statistics.comparable import COMPARABLE_KINDS
from landscape.utils.files import plain

SETTINGS = {
    "eigenvalues": {"k": 2},
    "trace": {"max_hvps": 40},
    "spectral_density": {"probes": 2, "steps": 5},
    "relative_flatness": {},
    "noise": {"draws": 2, "sigmas": (0.0, 0.05)},
    "quantization": {},
    "pruning": {"fractions": (0.0, 0.5)},
    "worst_case": {"radii": (0.1, 0.2), "steps": 2},
    "sharpness": {"radii": (0.1, 0.2), "steps": 2, "m": 4},
    "rise_area": {"rise": 0.05, "size": 11, "cells": 1.0},
    "critical_sharpness": {},
    "adaptive_sharpness": {
        "radii": (0.1, 0.2),
        "average_radii": (0.1, 0.2),
        "steps": 2,
        "draws": 2,
        "m": 4,
    },
    "pac_bayes": {"quantity": "loss", "draws": 2, "deviation": 0.02},
    "batch_eigenvalues": {"m": 4},
    "fisher_rao": {},
    "calibration": {"resamples": 100},
    "surface": {"size": 3},
    "profile": {"lines": 3, "size": 3},
    "path": {"end": torch.zeros(63), "size": 3},
}
CASES = [MEASURES[name](**settings) for name, settings in SETTINGS.items()] + [
    MEASURES["eigenvalues"](k=2, backend="pyhessian", tolerance=1e-1),
    MEASURES["relative_flatness"]("0"),
    MEASURES["surface"](size=3, directions="eigenvectors"),
]
every_measure = pytest.mark.parametrize("measure", CASES, ids=lambda m: type(m).__name__)


def used_net(dtype=torch.float32, device="cpu"):
    """A model in the middle of its life: mixed modes, gradients, moved batch norm, dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 3)
        )
        model(torch.randn(20, 6)).square().mean().backward()
    model[1].eval()
    model[0].bias.grad = None
    return model.to(device, dtype)


def picture(model):
    """All that rule R1 protects, by value and by identity."""
    parameters = dict(model.named_parameters())
    tensors = {**parameters, **dict(model.named_buffers())}
    gradients = {f"{k}.grad": p.grad for k, p in parameters.items() if p.grad is not None}
    return (
        {k: (id(t), t.detach().clone()) for k, t in {**tensors, **gradients}.items()},
        [(name, m.training, len(m._forward_hooks)) for name, m in model.named_modules()],
        {k: p.requires_grad for k, p in parameters.items()},
        (torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled()),
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


@pytest.fixture
def setting(data):
    """A used model and its objective, with the policy asked for."""

    def make(policy="stored", loss=cross_entropy, dtype=torch.float32, device="cpu"):
        model = used_net(dtype, device)
        batches = [(b.x.to(dtype), b.y) for b in data()]
        return model, Objective(model, batches, loss, batch_norm=policy)

    return make


@pytest.fixture(scope="module")
def answers():
    """What `answer` keeps."""
    return {}


@pytest.fixture
def answer(setting, answers, measure):
    """Objective, record and calls of progress: each measure is asked once for all who look."""
    if id(measure) not in answers:
        calls, (_, objective) = [], setting()
        record = measure(objective, progress=lambda done, total: calls.append((done, total)))
        answers[id(measure)] = objective, record, calls
    return answers[id(measure)]


def test_every_measure_is_here():
    assert set(SETTINGS) == set(MEASURES)
    assert set(DATA_OF) == set(MEASURES)
    assert set(COMPARABLE_KINDS) == set(MEASURES) - {"surface", "path"}  # looked at one by one


@pytest.mark.thinned(2)
@every_measure
@pytest.mark.parametrize("policy", ["stored", "batch"])
def test_no_trace(setting, measure, policy):
    model, objective = setting(policy)
    before = picture(model)
    measure(objective)
    assert same(before, picture(model))


@pytest.mark.thinned(3)
@every_measure
@pytest.mark.parametrize("when", [1, 2, 4])
def test_no_trace_when_the_loss_raises(setting, measure, when):
    left = [10**9]

    def fragile(model, batch):
        value = cross_entropy(model, batch)
        left[0] -= 1
        if left[0] <= 0:
            raise RuntimeError("out of luck")
        return value

    model, objective = setting(loss=fragile)
    before = picture(model)
    left[0] = when
    with pytest.raises(RuntimeError, match="out of luck"):
        measure(objective)
    assert same(before, picture(model))


@every_measure
def test_record(answer, measure, tmp_path):
    """Numbers are finite, settings and point stand beside them, a file gives all back."""
    objective, record, _ = answer
    record.save(tmp_path / "record.nc")
    again = load(tmp_path / "record.nc")
    for name, value in vars(record).items():
        if isinstance(value, np.ndarray | float):
            assert np.isfinite(value).all(), name
            if name != "vectors":
                np.testing.assert_array_equal(getattr(again, name), value)
    assert record.point == again.point
    assert record.point.n == 63
    assert record.point.examples == 11
    assert record.point.loss == pytest.approx(objective.value())
    assert record.point.fingerprint == objective.fingerprint
    assert plain(again.settings) == plain(settings_of(measure))
    assert {"landscape", "torch", "numpy", "python"} <= set(record.provenance)
    record.to_json()


@every_measure
def test_uncertainty(answer):
    """R10: bounds, draws or a standard error; a walk that of its data."""
    _, record, _ = answer
    stated = {
        "eigenvalues": lambda: record.bounds.shape == record.values.shape,
        "trace": lambda: record.low < record.value < record.high and record.stderr > 0,
        "spectral_density": lambda: (record.low < record.high).any() and record.steps_error > 0,
        "relative_flatness": lambda: record.stderr >= 0,
        "noise": lambda: record.loss.shape[1] >= 2,
        "quantization": lambda: record.point.examples > 0,
        "pruning": lambda: record.point.examples > 0,
        "worst_case": lambda: record.reached.shape[1] == 2,
        "sharpness": lambda: (record.stderr >= 0).all(),
        "rise_area": lambda: (record.area_errors > 0).all(),
        "critical_sharpness": lambda: record.low < record.high and record.stderr > 0,
        "adaptive_sharpness": lambda: (
            (record.stderr >= 0).all() and (record.average_stderr > 0).all()
        ),
        "pac_bayes": lambda: (record.low < record.high).all(),
        "batch_eigenvalues": lambda: record.stderr > 0 and (record.bounds > 0).all(),
        "fisher_rao": lambda: record.stderr > 0 and record.empirical_stderr > 0,
        "calibration": lambda: record.ece_low < record.ece_high and record.floor > 0,
        "surface": lambda: record.relative_stderr > 0,
        "profile": lambda: record.relative_stderr > 0 and record.loss.shape[0] >= 2,
        "path": lambda: record.relative_stderr > 0,
    }
    assert stated[record.kind]()


@every_measure
def test_answers_are_the_callers_own(setting, measure):
    """R11, and the same answer twice."""
    _, objective = setting()
    first = measure(objective)
    kept = {k: np.copy(v) for k, v in vars(first).items() if isinstance(v, np.ndarray)}
    with torch.random.fork_rng():
        torch.manual_seed(99)
        second = measure(objective)
    for name, value in kept.items():
        np.testing.assert_array_equal(getattr(first, name), value)
        np.testing.assert_array_equal(getattr(second, name), value)
        getattr(second, name)[...] = 7
        np.testing.assert_array_equal(getattr(first, name), value)


@every_measure
def test_progress_ends_at_its_total(answer):
    *_, calls = answer
    assert calls
    assert calls[-1][0] == calls[-1][1]
    assert calls == sorted(calls)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@every_measure
def test_float32_agrees_with_float64(setting, measure, device):
    """PyHessian draws other vectors on each device, so its answer is compared once converged."""
    if getattr(measure, "backend", "") == "pyhessian":
        measure = replace(measure, k=1, tolerance=1e-6)
    exact = measure(setting(dtype=torch.float64)[1])
    model, objective = setting(device=device)
    before = picture(model)
    found = measure(objective)
    assert same(before, picture(model))
    for name, value in vars(exact).items():
        if name in ("values", "value", "simplified", "loss", "accuracy"):
            np.testing.assert_allclose(getattr(found, name), value, rtol=2e-3, atol=1e-4)
