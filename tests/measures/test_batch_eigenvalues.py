"""Eigenvalues over mini-batches against dense Hessians of each batch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.measures import BatchEigenvalues
from landscape.measures.batch_eigenvalues import median_interval
from landscape.measures.curvature.operator import operator

X = torch.tensor([[1.0, 0], [0, 1], [1, 1], [-1, 2]], dtype=torch.float64)
Y = torch.tensor([0, 1, 2, 1])
W = torch.tensor([[1.0, -1], [0, 2], [0.5, 0.5]], dtype=torch.float64)


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def softmax_regression(x=X, y=Y):
    model = nn.Linear(2, 3, bias=False).double()
    model.weight.data.copy_(W)
    return Objective(model, [(x, y)], cross_entropy)


EXACT = BatchEigenvalues(m=1, tolerance=1e-10)


def test_values_of_softmax_regression():
    record = EXACT(softmax_regression())
    expected = [0.3932175043, 0.2959901202, 0.7418072840, 0.2862825585]
    assert sorted(record.values) == pytest.approx(sorted(expected), abs=1e-9)
    assert record.mean == pytest.approx(0.4293243667, abs=1e-9)
    assert record.whole == pytest.approx(0.2646787712, abs=1e-9)
    assert record.median == pytest.approx((0.2959901202 + 0.3932175043) / 2, abs=1e-9)


def test_pairs_of_a_partition():
    """{0, 1} and {2, 3}, whichever the seed makes first."""
    pairs = {(0, 1): 0.1966087521, (2, 3): 0.3919545900}
    for rows, expected in pairs.items():
        part = softmax_regression().on_batches(
            [softmax_regression().given[0].rows(torch.tensor(rows))]
        )
        assert EXACT(part).whole == pytest.approx(expected, abs=1e-9)


def test_batch_sharpness_is_its_formula():
    subject = softmax_regression()
    record = EXACT(subject)
    expected = []
    for i in range(4):
        one = softmax_regression(X[i : i + 1], Y[i : i + 1])
        g = one.grad()
        expected.append(float(g @ operator(one).matvec(g) / (g @ g)))
    assert sorted(record.batch_sharpness) == pytest.approx(sorted(expected), abs=1e-9)
    assert (record.batch_sharpness <= record.values + 1e-9).all()


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", ["mlp", "relu", "layer_norm"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_mean_is_at_least_the_whole(objective, name, seed):
    """λ₁ is convex; equal batches, the short last one dropped."""
    record = BatchEigenvalues(m=3, seed=seed, tolerance=1e-8)(objective(name))
    assert len(record.values) == objective(name).examples // 3
    assert record.mean >= record.whole - record.whole_bound
    assert (record.bounds <= 1e-8 * abs(record.values) + 1e-12).all()


def test_at_most_so_many_batches():
    record = BatchEigenvalues(m=1, batches=3)(softmax_regression())
    assert record.values.shape == (3,)
    assert record.stderr == pytest.approx(record.values.std(ddof=1) / 3**0.5)


def test_other_curvatures():
    record = BatchEigenvalues(m=1, tolerance=1e-10, curvature="empirical-fisher")(
        softmax_regression()
    )
    expected = []
    for i in range(4):
        g = softmax_regression(X[i : i + 1], Y[i : i + 1]).grad()
        expected.append(float(g @ g))
    assert sorted(record.values) == pytest.approx(sorted(expected), abs=1e-9)


def test_the_interval_of_the_median_covers():
    rng = np.random.default_rng(0)
    inside = [
        low <= 0 <= high
        for low, high in (median_interval(rng.normal(size=12)) for _ in range(2000))
    ]
    assert 0.95 <= np.mean(inside) <= 0.98
    assert median_interval(np.array([3.0, 1, 2])) == (1.0, 3.0)


def test_needs_two_batches():
    with pytest.raises(ValueError, match=r"need twice as many\. Got 4"):
        BatchEigenvalues(m=3)(softmax_regression())


@pytest.mark.parametrize(
    "settings", [{"m": 0}, {"batches": 1}, {"tolerance": 0.0}, {"curvature": "kfac"}]
)
def test_settings_out_of_range(settings):
    with pytest.raises(ValueError, match=f"`{next(iter(settings))}` must be"):
        BatchEigenvalues(**settings)
