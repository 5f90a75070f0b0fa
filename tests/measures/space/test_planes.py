"""Planes: what they go through, how far away things are, and that they move between models."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective, Plane
from landscape.linalg import probes
from landscape.measures import (
    Eigenvalues,
    Surface,
    pca_plane,
    plane_through,
    random_plane,
)
from landscape.measures.eigenvector_plane import eigenvector_plane
from landscape.measures.space import planes


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


@pytest.mark.parametrize("slab", [2**16, 7])
def test_random_directions_are_those_of_whole_vectors(monkeypatch, slab):
    """A plain loop in float64: bend the second direction, correct its filters, again and again."""
    monkeypatch.setattr(planes, "SLAB", slab)
    model = nn.Sequential(
        nn.ConvTranspose2d(4, 6, 2, groups=2), nn.Conv2d(6, 2, 2), nn.Flatten(), nn.Linear(8, 3)
    ).double()
    batches = [(torch.ones(2, 4, 2, 2, dtype=torch.float64), None)]
    subject = Objective(model, batches, lambda m, b: m(b.x).square().mean())
    index, w = subject.weights.filter_index(), subject.w

    def corrected(v):
        v = v.clone()
        v[index < 0] = 0.0
        for i in range(int(index.max()) + 1):
            v[index == i] *= w[index == i].norm() / v[index == i].norm()
        return v

    d1, d2 = (corrected(g) for g in probes.gaussians(w, 2, 3))
    for _ in range(50):
        d2 = corrected(d2 - (d2 @ d1) / (d1 @ d1) * d1)
    plane = random_plane(subject, seed=3)
    torch.testing.assert_close(plane.d1, d1, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(plane.d2, d2, rtol=1e-9, atol=1e-10)
    off = plane.origin + 2 * d1 + torch.linspace(0, 1, len(w), dtype=torch.float64)
    basis = torch.stack([d1, d2])
    (found,), (distance,) = plane.project(off[None])
    expected = torch.linalg.lstsq(basis.T, (off - w)[:, None]).solution[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(distance, (off - w - expected @ basis).norm())


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


def test_filters_of_one_weight(data):
    """Single weights can only change sign: no two such directions are orthogonal here."""
    model = nn.Sequential(nn.Linear(6, 1, bias=False)).double()
    subject = Objective(model, data(), lambda m, b: m(b.x).square().mean())
    assert abs(random_plane(subject).cosine) < 1e-10
    tiny = nn.Linear(1, 1).double()
    for weight in torch.linspace(0.1, 3, 20).tolist():
        tiny.weight.data.fill_(weight)
        subject = Objective(tiny, [(torch.ones(2, 1).double(), None)], lambda m, b: m(b.x).mean())
        with pytest.raises(ValueError, match=r"too few.*Give a plane"):
            random_plane(subject, seed=int(10 * weight))


def test_eigenvector_plane(objective):
    subject = objective()
    plane, values = eigenvector_plane(subject), Eigenvalues(k=2)(subject).values
    for d, value in zip((plane.d1, plane.d2), values, strict=True):
        torch.testing.assert_close(subject.hvp(d), value * d, rtol=0, atol=1e-4 * abs(values[0]))


@pytest.fixture
def cloud():
    """Eight points in R^6 whose principal directions are e_0, e_3 and e_5 by construction."""
    points = torch.zeros(8, 6, dtype=torch.float64)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    points[:, [0, 3, 5]] = signs * torch.tensor([3.0, 2.0, 0.5])
    return points + torch.arange(6.0)


def test_principal_directions_by_hand(cloud):
    plane = pca_plane(cloud)
    e = torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(plane.origin, torch.arange(6.0).double())
    torch.testing.assert_close(plane.d1.abs(), e[0])
    torch.testing.assert_close(plane.d2.abs(), e[3])
    assert plane.explained == pytest.approx((9 / 13.25, 4 / 13.25))
    assert plane.project(cloud[:1])[0].tolist() == [[pytest.approx(-3), pytest.approx(-2)]]
    coordinates, distances = plane.project(cloud)
    assert sorted({tuple(row) for row in coordinates.abs().round(decimals=9).tolist()}) == [(3, 2)]
    torch.testing.assert_close(distances, torch.full((8,), 0.5, dtype=torch.float64))


def test_no_other_plane_lies_nearer(cloud):
    """Squared distances sum to the variance that is not explained, and other planes do worse."""
    generator = torch.Generator().manual_seed(0)
    points = cloud + torch.randn(8, 6, generator=generator, dtype=torch.float64)
    plane = pca_plane(points)
    total = (points - points.mean(0)).square().sum()
    missed = plane.project(points)[1].square().sum()
    torch.testing.assert_close(missed, (1 - sum(plane.explained)) * total)
    for _ in range(20):
        d1, d2 = torch.randn(2, 6, generator=generator, dtype=torch.float64)
        assert Plane(plane.origin, d1, d2).project(points)[1].square().sum() > missed


def test_a_trajectory_ends_at_the_origin(cloud):
    """The directions are those of the centred points; the plane goes through the end."""
    plane, centred = pca_plane(cloud, origin=cloud[-1]), pca_plane(cloud)
    assert torch.equal(plane.origin, cloud[-1])
    torch.testing.assert_close(plane.d1, centred.d1)
    torch.testing.assert_close(plane.project(cloud)[0][-1], torch.zeros(2, dtype=torch.float64))


def test_principal_directions_far_from_zero(cloud):
    """In float32 with a large mean: centred before it is squared."""
    plane = pca_plane((cloud + 1000.0).float())
    assert plane.d1.dtype == torch.float32
    assert plane.d1[0].abs() > 0.999
    assert plane.explained == pytest.approx((9 / 13.25, 4 / 13.25), rel=1e-3)


@pytest.mark.parametrize("rows", [torch.zeros(2, 4), torch.eye(4)[:1].expand(5, 4)])
def test_points_without_a_plane(rows):
    with pytest.raises(ValueError, match=r"`points` must"):
        pca_plane(rows)
    line = torch.arange(4.0)[:, None] * torch.ones(4, 3)
    with pytest.raises(ValueError, match=r"They lie on one line"):
        pca_plane(line)


def test_through_three_points():
    w1, w2, w3 = torch.tensor([[1.0, 1, 1], [1, 1, 4], [1, 3, 2]], dtype=torch.float64)
    plane = plane_through(w1, w2, w3)
    assert plane.cosine == pytest.approx(0, abs=1e-15)
    coordinates, distances = plane.project(torch.stack([w1, w2, w3]))
    torch.testing.assert_close(
        coordinates, torch.tensor([[0.0, 0], [3, 0], [1, 2]], dtype=torch.float64)
    )
    assert distances.max() < 1e-12
    with pytest.raises(ValueError, match=r"They lie on one line"):
        plane_through(w1, w2, w1 + 3 * (w2 - w1))


def test_projection_onto_slanted_directions():
    """d1 and d2 of any lengths and angle: the nearest point, not two separate ones."""
    d1, d2 = torch.tensor([[2.0, 0, 0], [1, 1, 0]])
    plane = Plane(torch.zeros(3), d1, d2)
    coordinates, distances = plane.project(torch.tensor([[4.0, 3, 7]]))
    assert coordinates.tolist() == [[pytest.approx(0.5), pytest.approx(3)]]
    assert distances.item() == pytest.approx(7)


def test_planes_move_between_models(objective):
    """Same directions through another minimum; or the very same plane under another model."""
    here, there = objective("mlp", seed=0), objective("mlp", seed=1)
    plane = random_plane(here)
    moved = plane.at(there.w)
    assert torch.equal(moved.d2, plane.d2)
    assert Surface(size=3, plane=moved)(there).centre == there.value()
    record = Surface(size=3, plane=plane)(there)
    assert record.loss[1, 1] == there.value(here.w)
    assert record.off_plane > 0
    assert np.isnan(record.centre)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (([0.0, 0], [1.0, 0, 0], [0.0, 1]), r"`d1` must have shape \(n,\), as the origin. Got"),
        (([0.0, 0], [1.0, 0], [0.0, float("nan")]), r"`d2` must be finite"),
        (([0.0, 0], [1.0, 1], [-1.0, -1]), r"must span a plane. Got a cosine of -1.0000"),
        (([0.0, 0], [0.0, 0], [1.0, 1]), r"must span a plane. Got a cosine of nan"),
    ],
)
def test_what_is_no_plane(vectors, message):
    with pytest.raises(ValueError, match=message):
        Plane(*map(torch.tensor, vectors))


@pytest.mark.parametrize(("hidden", "seed"), [(2, 0), (2, 3), (3, 0), (4, 3)])
def test_filters_keep_their_lengths_where_no_right_angle_is_reached(hidden, seed):
    """A dozen weights: the two conditions do not meet, and the lengths have the last word."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(1, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 1)
        ).double()
        x, y = torch.randn(4, 1).double(), torch.randn(4, 1).double()
    subject = Objective(model, [(x, y)], lambda m, b: (m(b.x) - b.y).square().mean())
    plane, w = random_plane(subject, seed), subject.w
    assert abs(plane.cosine) > 1e-12
    for d in (plane.d1, plane.d2):
        torch.testing.assert_close(d[:hidden].abs(), w[:hidden].abs(), rtol=1e-6, atol=0)
        head = slice(2 * hidden, 3 * hidden)
        torch.testing.assert_close(d[head].norm(), w[head].norm(), rtol=1e-6, atol=0)
