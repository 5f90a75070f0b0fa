"""Forms over random directions: their mean is the trace, their stated error the true one."""

import numpy as np
import pytest
import torch
from scipy import stats

from landscape.linalg.quadratic_forms import estimate, numbered_directions, project_out

FLOAT = torch.float64


def forms_of(a, x):
    return np.einsum("qi,ij,qj->q", x, a, x), np.square(x @ a).sum(axis=1)


def test_eight_angles_are_the_whole_circle():
    """Forms are of degree 4 in x at most, so 8 equal angles average as the whole circle does."""
    angles = np.arange(8) * np.pi / 4
    x = 2**0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    a = np.array([[3.0, 1.0], [1.0, -0.5]])
    forms, squares = forms_of(a, x)
    found = estimate(forms, squares, d=2)
    assert found.value == pytest.approx(2.5)
    assert found.stderr == pytest.approx(forms.std() / 8**0.5)


def test_axes_alone_give_the_trace():
    a = np.diag([1.0, 2.0, 3.0]) + 0.5
    forms, squares = forms_of(a, 3**0.5 * np.eye(3))
    assert estimate(forms, squares, d=3).value == pytest.approx(7.5)
    assert squares.mean() == pytest.approx(np.square(a).sum())


def test_a_multiple_of_the_identity_has_no_error():
    direction = numbered_directions(torch.zeros(5, dtype=FLOAT), 0)
    x = np.stack([direction(i).numpy() for i in range(4)])
    found = estimate(*forms_of(2.0 * np.eye(5), x), d=5)
    assert found.value == pytest.approx(10.0)
    assert found.half == pytest.approx(0.0, abs=1e-6)


def test_the_interval_widens_where_few_directions_tell_the_variance():
    """‖(A − c)x‖² that agree: the normal quantile. That do not: Student's."""
    forms = np.full(4, 2.0)  # c = 2/4: the squares less 1
    sure = estimate(forms, np.full(4, 5.0), d=4)
    unsure = estimate(forms, np.array([1.0, 2.0, 3.0, 14.0]), d=4)
    assert sure.half == pytest.approx(1.959964 * sure.stderr, rel=1e-4)
    freedom = 2 * 4**2 / (np.var([0.0, 1.0, 2.0, 13.0], ddof=1) / 4)
    assert unsure.stderr == sure.stderr
    assert unsure.half == pytest.approx(stats.t.ppf(0.975, freedom) * sure.stderr)


def test_many_estimates_at_once():
    rng = np.random.default_rng(0)
    forms, squares = rng.normal(size=(6, 3)), 10 + rng.random((6, 3))
    found = estimate(forms, squares, d=9)
    for i in range(3):
        one = estimate(forms[:, i], squares[:, i], d=9)
        assert [found.value[i], found.stderr[i], found.half[i]] == pytest.approx(list(one))


def test_directions_avoid_the_basis_and_have_length_root_d():
    basis = torch.linalg.qr(torch.randn(7, 3, dtype=FLOAT)).Q.T
    for x in map(numbered_directions(torch.zeros(7, dtype=FLOAT), 1, basis), range(3)):
        assert (basis @ x).abs().max() < 1e-14
        assert x.norm().item() == pytest.approx(2.0)


def test_projecting_without_a_basis_changes_nothing():
    v = torch.randn(4)
    assert project_out(None, v) is v
