"""Areas inside a rise of the loss against closed forms, and the plane they lie in."""

import math

import numpy as np
import pytest
import torch

from landscape.measures import Eigenvalues, RiseArea, rise_area
from landscape.measures.eigenvector_plane import sharpest_plane
from landscape.measures.rise_area import first_true
from landscape.records import load


def bowl(*curvatures):
    """Half the sum of λ w² along axes that no coordinate follows."""
    n = len(curvatures)
    turn, _ = torch.linalg.qr(
        torch.randn(n, n, generator=torch.Generator().manual_seed(3)).double()
    )
    H = turn @ torch.diag(torch.tensor(curvatures, dtype=torch.float64)) @ turn.T
    return lambda w: w @ H @ w / 2


@pytest.mark.parametrize("curvatures", [(9.0, 1.0, 0.5), (2.0, 2.0, 1e-3), (4e4, 50.0, -60.0)])
def test_quadratic(bare_objective, curvatures):
    """2π·rise/√(λ₁λ₂) at each rise, within the stated error and 0.1 %."""
    record = RiseArea(rise=0.2)(bare_objective([0.0, 0.0, 0.0], bowl(*curvatures)))
    exact = 2 * math.pi * record.rises / math.sqrt(curvatures[0] * curvatures[1])
    np.testing.assert_allclose(record.areas, exact, rtol=1e-3)
    assert (np.abs(record.areas - exact) <= record.area_errors).all()
    assert record.rise == 0.2 and record.area == record.areas[1] and record.no_area == ""
    np.testing.assert_allclose(record.eigenvalues, curvatures[:2], rtol=1e-4)
    assert record.rises.tolist() == [0.1, 0.2, 0.4]


def test_the_two_largest_are_not_those_of_the_largest_size(bare_objective):
    record = RiseArea()(bare_objective([0.0] * 3, bowl(2.0, 1.0, -9.0)))
    assert record.area == pytest.approx(2 * math.pi * 0.1 / math.sqrt(2), rel=1e-3)


def test_above_the_trained_weights_not_above_the_minimum(bare_objective):
    """At w = (d, 0) the contour is that of the level L(w) + rise: a larger ellipse around 0."""
    d = 0.3
    record = RiseArea()(bare_objective([d, 0.0], lambda w: (w * w).sum() / 2))
    assert record.area == pytest.approx(2 * math.pi * (0.1 + d**2 / 2), rel=2e-3)


def test_lopsided_bowl(bare_objective):
    """Steep on one side, gentle on the other, a quarter of four ellipses: exact within 0.5 %; x
    goes to the gentle side."""

    def loss(w):
        side = torch.where(w > 0, torch.tensor([8.0, 3.0]), torch.tensor([1.0, 1.0]))
        return (side.double() * w * w).sum() / 2

    record = RiseArea()(bare_objective([-1e-9, -1e-9], loss))
    halves = [(1 / math.sqrt(8) + 1), (1 / math.sqrt(3) + 1)]
    assert record.area == pytest.approx(math.pi / 4 * 0.2 * halves[0] * halves[1], rel=5e-3)
    height = record.height
    assert height[-1, 12] / record.x[-1] ** 2 < height[0, 12] / record.x[0] ** 2
    assert height[12, -1] / record.y[-1] ** 2 < height[12, 0] / record.y[0] ** 2


def test_a_plane_that_the_contour_leaves_is_widened(bare_objective, monkeypatch):
    monkeypatch.setattr(rise_area, "REACH", 0.7)
    calls = []
    subject = bare_objective([0.0, 0.0], bowl(2.0, 1.0))
    record = RiseArea()(subject, progress=lambda *counts: calls.append(counts))
    assert record.area == pytest.approx(2 * math.pi * 0.1 / math.sqrt(2), rel=1e-3)
    assert calls == sorted(calls) and calls[-1] == (2 * 625, 2 * 625)


def test_arms_narrower_than_the_grid_are_refused(bare_objective):
    """Valleys along both diagonals: the coarse area differs by a fifth, and the true one too."""

    def loss(w):
        u, v = w[0] ** 2, w[1] ** 2
        return (u - v) ** 2 * 40 + (u + v) ** 2 / 100 + 0.01 * (2 * u + v)

    record = RiseArea()(bare_objective([0.0, 0.0], loss))
    assert math.isnan(record.area)
    assert record.no_area == "the area is uncertain by 20% on this grid: a larger `size`"


def test_a_loss_that_never_rises_so_far_has_no_area(bare_objective, tmp_path):
    record = RiseArea()(bare_objective([0.0, 0.0], lambda w: 0.05 * torch.tanh((w * w).sum())))
    assert math.isnan(record.area) and math.isnan(record.area_errors[1])
    assert record.no_area == "the contour leaves the plane"
    record.save(tmp_path / "record.nc")
    assert load(tmp_path / "record.nc").no_area == record.no_area


def test_the_vectors_that_were_just_computed_are_used(objective, monkeypatch):
    subject = objective("mlp")
    known = Eigenvalues(k=4)(subject)
    alone = RiseArea(rise=0.05)(subject)
    monkeypatch.setattr(Eigenvalues, "__call__", lambda *_: pytest.fail("computed anew"))
    record = RiseArea(rise=0.05)(subject, eigenvalues=known)
    np.testing.assert_allclose(record.areas, alone.areas, rtol=1e-3)


@pytest.mark.parametrize(
    "asked",
    [
        {"k": 2},  # 9 and −8 by magnitude: the 3 is missing
        {"k": 1},
        {"which": "smallest", "k": 3},
        {"curvature": "gauss-newton"},
    ],
    ids=str,
)
def test_eigenvalues_that_may_lack_one_are_not_used(bare_objective, asked):
    subject = bare_objective([0.0] * 4, bowl(9.0, 3.0, 1.0, -8.0))
    known = Eigenvalues(**{"k": 2, **asked, "curvature": "hessian"})(subject)
    object.__setattr__(known, "curvature", asked.get("curvature", "hessian"))
    found = sharpest_plane(subject, known)
    np.testing.assert_allclose(found.values, [9.0, 3.0], rtol=1e-3)


@pytest.mark.parametrize("threshold", [1e-3, 0.3, 1.0, 7.0, 900.0])
def test_first_true(threshold):
    found = first_true(lambda t: t >= threshold, 1.0)
    assert threshold <= found <= 1.05 * threshold


def test_first_true_of_what_never_holds():
    assert first_true(lambda _: False, 1.0) == math.inf


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rise": 0.0}, "`rise` must be positive. Got 0.0"),
        ({"rise": math.nan}, "`rise` must be positive. Got nan"),
        ({"size": 24}, "`size` must be odd and at least 9. Got 24"),
        ({"size": 7}, "`size` must be odd and at least 9. Got 7"),
        ({"cells": 0.0}, "`cells` must be positive. Got 0.0"),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(ValueError, match=words):
        RiseArea(**settings)
