"""Surfaces against a naive loop, a function with no symmetry, and the definition of the plane."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import Eigenvalues, Plane, Surface
from landscape.measures.surface import random_plane


def test_loss_i_j_belongs_to_x_i_y_j(bare_objective):
    """Rule R9: L = 10 w_0 + w_1³ has no symmetry that would hide a transposed or mirrored grid."""
    subject = bare_objective([0.5, 0.0], lambda w: 10 * w[0] + w[1] ** 3)
    e = torch.eye(2, dtype=torch.float64)
    record = Surface(size=5, span=2.0, plane=Plane(subject.w, e[0], e[1]))(subject)
    np.testing.assert_array_equal(record.x, [-2, -1, 0, 1, 2])
    np.testing.assert_array_equal(record.y, [-2, -1, 0, 1, 2])
    expected = 10 * (0.5 + record.x[:, None]) + record.y[None, :] ** 3
    np.testing.assert_allclose(record.loss, expected, rtol=1e-12)
    assert record.directions == "plane"


@pytest.mark.parametrize("policy", ["stored", "batch"])
def test_equals_a_naive_loop_over_copies(objective, policy):
    subject = objective("conv", batch_norm=policy)
    record = Surface(size=5, span=0.7, seed=3)(subject)
    plane = random_plane(subject, seed=3)
    for i, x in enumerate(record.x):
        for j, y in enumerate(record.y):
            model = copy.deepcopy(subject.model).eval()
            model[1].train(policy == "batch")
            at = subject.w + x * plane.d1 + y * plane.d2
            nn.utils.vector_to_parameters(at, model.parameters())
            z = torch.cat([model(b.x) for b in subject.batches]).detach()
            targets = torch.cat([b.y for b in subject.batches])
            np.testing.assert_allclose(record.loss[i, j], F.cross_entropy(z, targets), rtol=1e-12)
            accuracy = (z.argmax(1) == targets).double().mean()
            np.testing.assert_allclose(record.accuracy[i, j], accuracy, rtol=1e-12)


@pytest.mark.parametrize("size", [3, 7, 11])
def test_the_point_is_the_centre(objective, size):
    subject, half = objective(), size // 2
    record = Surface(size=size, span=0.3)(subject)
    assert record.x[half] == record.y[half] == 0
    assert record.loss[half, half] == subject.value()
    assert (record.x[0], record.x[-1]) == (-0.3, 0.3)
    np.testing.assert_allclose(np.diff(record.x), record.x[1] - record.x[0])


@pytest.mark.parametrize("name", ["mlp", "conv", "layer_norm", "tied"])
def test_random_directions(objective, name):
    """Every filter as long as the weights' own, the rest zero, the two orthogonal."""
    subject = objective(name)
    plane = random_plane(subject, seed=1)
    assert abs(plane.cosine) < 1e-10
    assert torch.equal(plane.origin, subject.w)
    parts = zip(*map(subject.weights.split, (subject.w, plane.d1, plane.d2)), strict=True)
    norms = [k for k, m in subject.model.named_modules() if isinstance(m, nn.LayerNorm)]
    for key, (w, d1, d2) in zip(subject.weights.names, parts, strict=True):
        for d in (d1, d2):
            if w.dim() == 1 or key.rpartition(".")[0] in norms:
                assert not d.any()
            else:
                lengths = d.flatten(1).norm(dim=1) / w.flatten(1).norm(dim=1)
                torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=1e-6, atol=0)


def test_the_gaussian_depends_on_the_seed_alone(objective):
    """Filter by filter the direction at another minimum is a multiple of the direction here."""
    here, there = (random_plane(objective("mlp", seed=s), seed=4) for s in (0, 1))
    other = random_plane(objective("mlp"), seed=5)
    rows = [p.d1[:30].view(5, 6) for p in (here, there, other)]
    cosines = [F.cosine_similarity(rows[0], r) for r in rows[1:]]
    torch.testing.assert_close(cosines[0], torch.ones(5, dtype=torch.float64))
    assert (cosines[1] < 0.99).all()


def test_directions_are_not_all_alike(objective):
    """Gaussian, not uniform on [0, 1): over seeds the mean direction is near zero."""
    directions = torch.stack([random_plane(objective(), seed=s).d1 for s in range(20)])
    assert directions.mean(0).norm() < 0.5 * directions[0].norm()


def test_filters_of_one_weight(data, objective):
    """Single weights can only change sign: no two such directions are orthogonal here."""
    model = nn.Sequential(nn.Linear(6, 1, bias=False)).double()
    subject = Objective(model, data(), lambda m, b: m(b.x).square().mean())
    assert abs(random_plane(subject).cosine) < 1e-10
    tiny = nn.Linear(1, 1).double()
    subject = Objective(tiny, [(torch.ones(2, 1).double(), None)], lambda m, b: m(b.x).mean())
    with pytest.raises(ValueError, match=r"too few.*Give a plane"):
        random_plane(subject)


def test_eigenvector_axes_show_eigenvalues(objective):
    subject, h = objective("mlp"), 1e-3
    record = Surface(size=3, span=h, directions="eigenvectors")(subject)
    values = Eigenvalues(k=2)(subject).values
    loss = record.loss
    curvatures = [
        (loss[2, 1] - 2 * loss[1, 1] + loss[0, 1]) / h**2,
        (loss[1, 2] - 2 * loss[1, 1] + loss[1, 0]) / h**2,
    ]
    np.testing.assert_allclose(curvatures, values, rtol=1e-3)
    assert record.directions == "eigenvectors"


def test_progress_counts_points(objective):
    calls = []
    Surface(size=3)(objective(), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3, 9), (6, 9), (9, 9)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 50}, "`size` must be odd and at least 3.* Got 50."),
        ({"size": 1}, "`size` must be odd and at least 3"),
        ({"span": 0.0}, "`span` must be positive. Got 0.0."),
        ({"directions": "pca"}, "`directions` must be one of random, eigenvectors. Got 'pca'."),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Surface(**settings)


def test_a_plane_of_other_shape_is_refused(objective):
    subject = objective()
    plane = Plane(subject.w, subject.w[:-1], subject.w)
    with pytest.raises(ValueError, match=r"`plane.d1` must have shape \(53,\). Got \(52,\)."):
        Surface(plane=plane)(subject)
