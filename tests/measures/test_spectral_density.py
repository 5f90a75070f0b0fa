"""Spectral density: its integral, mean, units and errors against spectra that are written out."""

import numpy as np
import pytest
import torch

from landscape.measures import SpectralDensity
from landscape.measures.spectral_density import kernel_width


def exact(values, record):
    z = (record.grid - np.asarray(values)[:, None]) / record.width
    return (np.exp(-(z**2) / 2) / (record.width * (2 * np.pi) ** 0.5)).mean(axis=0)


@pytest.fixture
def diagonal(bare_objective):
    """Half of the square of a vector, weighted: the weights are the eigenvalues."""
    return lambda d: bare_objective(
        torch.zeros(len(d)), lambda w: (torch.tensor(d) * w**2).sum() / 2
    )


@pytest.mark.parametrize("name", ["mlp", "relu", "conv"])
def test_integral_one_and_mean_trace_over_n(objective, dense_hessian, name):
    made = objective(name)
    record = SpectralDensity(steps=8)(made)
    assert np.trapezoid(record.density, record.grid) == pytest.approx(1, abs=1e-8)
    assert np.trapezoid(record.density * record.grid, record.grid) == pytest.approx(record.mean)
    assert record.mean_low <= float(dense_hessian(made).trace()) / record.n <= record.mean_high
    assert record.mean == pytest.approx((record.mean_low + record.mean_high) / 2)
    np.testing.assert_allclose(record.weights.sum(axis=1), 1, rtol=1e-9)
    assert record.hvps == 80 + 2


@pytest.mark.slow
def test_the_band_holds_the_exact_density(objective, dense_hessian):
    """Where there is more than a thousandth of the peak; all probes and steps."""
    made = objective()
    record = SpectralDensity(probes=20, steps=53, width=0.03)(made)
    truth = exact(torch.linalg.eigvalsh(dense_hessian(made)), record)
    seen = truth > 1e-3 * truth.max()
    inside = (record.low <= truth) & (truth <= record.high)
    assert inside[seen].mean() > 0.9
    assert (record.low <= record.density).all() and (record.density <= record.high).all()


def test_the_kernel_is_in_units_of_the_eigenvalues(diagonal):
    """Two eigenvalues 30 apart, width 0.02: σ is 0.6, and scales with the loss."""
    d = np.repeat([-10.0, 20.0], 20)
    record = SpectralDensity(steps=5, width=0.02)(diagonal(d))
    assert record.width == pytest.approx(0.6)
    assert np.isnan(record.nodes[:, 2:]).all()
    peak = np.interp(20.0, record.grid, record.density)
    share = np.nansum(record.weights[record.nodes > 0]) / 10
    assert peak == pytest.approx(share / (0.6 * (2 * np.pi) ** 0.5), rel=1e-3)
    assert record.grid[0] == pytest.approx(-10 - 6 * 0.6)
    assert record.grid[-1] == pytest.approx(20 + 6 * 0.6)
    scaled = SpectralDensity(steps=5, width=0.02)(diagonal(10 * d))
    np.testing.assert_allclose(10 * scaled.density, record.density, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("value", "width"), [(3.0, 0.03), (0.0, 0.01)])
def test_one_eigenvalue_alone(diagonal, value, width):
    record = SpectralDensity(steps=3)(diagonal(np.full(8, value)))
    assert record.width == pytest.approx(width)
    assert record.mean == pytest.approx(value)
    assert record.mean_high - record.mean_low < 1e-6
    assert record.grid[record.density.argmax()] == pytest.approx(value, abs=1e-6)


def test_width_of_one_value_that_rounding_spreads():
    assert kernel_width(np.array([[2.0, 2.0 + 1e-12]]), 0.01) == pytest.approx(0.02)
    assert kernel_width(np.array([[-1.0, 3.0]]), 0.01) == pytest.approx(0.04)


def test_what_the_steps_leave_out_is_told(diagonal):
    d = np.linspace(-1, 1, 40)
    errors = [SpectralDensity(steps=m)(diagonal(d)).steps_error for m in (4, 12, 40)]
    assert errors[0] > 0.2
    assert errors[0] > 2 * errors[2]
    few, many = (SpectralDensity(steps=m, width=0.05)(diagonal(d)) for m in (20, 40))
    truth = np.abs(np.interp(few.grid, many.grid, many.density) - few.density)
    assert few.steps_error > 0.5 * np.trapezoid(truth, few.grid) / 2


@pytest.mark.slow
def test_means_hold_over_seeds(diagonal):
    """60 seeds, five probes and one eigenvalue that dominates: 0.866 is 3 σ below 0.95."""
    d = np.concatenate([[4.0], np.linspace(-0.2, 0.3, 29)])
    made = diagonal(d)
    records = [SpectralDensity(probes=5, steps=4, seed=seed)(made) for seed in range(60)]
    held = [r.mean_low <= d.mean() <= r.mean_high for r in records]
    assert np.mean(held) >= 0.866


def test_gauss_newton_and_one_module(objective, dense_hessian):
    made = objective()
    record = SpectralDensity(steps=10, curvature="gauss-newton")(made)
    assert record.nodes.min() > -1e-9
    assert record.curvature == "gauss-newton"
    block = SpectralDensity(steps=18, layer="2")(made)
    values = torch.linalg.eigvalsh(dense_hessian(made)[35:, 35:])
    assert block.n == 18
    assert np.nanmax(block.nodes) == pytest.approx(float(values[-1]), rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"probes": 1}, "`probes` must be at least 2, for an error. Got 1"),
        ({"steps": 0}, "`steps` must be at least 1. Got 0"),
        ({"width": 0.0}, "`width` must lie between 1e-5 and 1. Got 0.0"),
    ],
)
def test_settings_out_of_range(settings, words):
    with pytest.raises(ValueError, match=words):
        SpectralDensity(**settings)
