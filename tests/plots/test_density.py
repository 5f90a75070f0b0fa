"""Spectral density."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from landscape.plots import density
from landscape.plots.drawing.style import METHOD_STYLES
from landscape.records import SpectralDensityRecord

ROOT = (2 * np.pi) ** 0.5


def gaussian(grid, at, width):
    return np.exp(-(((grid - at) / width) ** 2) / 2) / (width * ROOT)


@pytest.fixture
def record(point):
    """One value in `n` directions stands at `outlier`, all others at zero."""

    def make(width=0.1, outlier=8.0, n=100, **settings):
        grid = np.arange(-6 * width, outlier + 6 * width, width / 4)
        rho = (1 - 1 / n) * gaussian(grid, 0, width) + gaussian(grid, outlier, width) / n
        return SpectralDensityRecord(
            grid=grid, density=rho, low=0.5 * rho, high=1.5 * rho,
            nodes=np.array([[0.0, outlier]] * 4), weights=np.array([[1 - 1 / n, 1 / n]] * 4),
            width=width, mean=outlier / n, mean_low=0.0, mean_high=1.0, steps_error=0.0, hvps=8,
            n=n, point=point, **settings,
        )  # fmt: skip

    return make


def curves(ax):
    return [line for line in ax.get_lines() if len(line.get_xdata()) > 20]


def test_one_method(record, words):
    made = record()
    figure = density(made)
    ax = figure.axes[0]
    (line,) = curves(ax)
    heights = np.interp([0.0, 4.0, 8.0], line.get_xdata(), line.get_ydata())
    assert heights[0] == pytest.approx(0.99 / (0.1 * ROOT), rel=1e-2)
    assert heights[2] == pytest.approx(0.01 / (0.1 * ROOT), rel=1e-2)
    assert (ax.get_yscale(), ax.get_xscale()) == ("log", "linear")
    assert "eigenvalue of the Hessian" in words(figure)
    said = words(figure).replace("\n", " ")
    assert "95 % interval over 4 probes, one minimum per method" in said
    assert "kernel width: 0.1" in said and "256 training examples" in said


def test_the_band_is_the_interval(record):
    ax = density(record()).axes[0]
    edges = ax.collections[0].get_paths()[0].vertices
    at_peak = edges[np.abs(edges[:, 0]) < 0.02, 1]
    peak = 0.99 / (0.1 * ROOT)
    assert at_peak.min() == pytest.approx(0.5 * peak, rel=0.02)
    assert at_peak.max() == pytest.approx(1.5 * peak, rel=0.02)


def test_methods_share_the_widest_kernel(record):
    ax = density({"sgd": record(width=0.4), "sam": record(width=0.1, outlier=2.0)}).axes[0]
    sgd, sam = curves(ax)
    assert [line.get_color() for line in (sgd, sam)] == [
        METHOD_STYLES[m].colour for m in ("sgd", "sam")
    ]
    expected = 0.99 * gaussian(np.array([0.3]), 0, 0.4) + 0.01 * gaussian(np.array([0.3]), 2, 0.4)
    assert np.interp(0.3, sam.get_xdata(), sam.get_ydata()) == pytest.approx(expected[0], rel=5e-3)
    assert np.trapezoid(sam.get_ydata(), sam.get_xdata()) == pytest.approx(1, abs=0.01)


def test_where_one_eigenvalue_stands(record, words):
    figure = density({"sgd": record(), "sam": record(outlier=3.0)})
    assert "one eigenvalue" in words(figure)
    (level,) = [y.get_ydata()[0] for y in figure.axes[0].get_lines() if y.get_linestyle() == ":"]
    assert level == pytest.approx(1 / (100 * 0.1 * ROOT))
    assert figure.axes[0].get_ylim()[0] < level / 10
    assert "one eigenvalue" not in words(density({"sgd": record(), "sam": record(n=50)}))


def test_spectra_of_very_different_size(record, words):
    figure = density({"sgd": record(width=1.0, outlier=80.0), "sam": record(width=0.01, outlier=1)})
    assert figure.axes[0].get_xscale() == "symlog"
    assert "kernel width: each its own, 0.01 to 1" in words(figure).replace("\n", " ")
    assert "one eigenvalue" not in words(figure)


def test_seeds_are_averaged(record, words):
    figure = density({"sgd": [record(outlier=6.0), record(outlier=8.0)], "sam": [record()]})
    line = curves(figure.axes[0])[0]
    heights = np.interp([6.0, 8.0], line.get_xdata(), line.get_ydata())
    assert heights == pytest.approx(np.full(2, 0.005 / (0.1 * ROOT)), rel=0.02)
    assert "95 % interval over 1–2 seeds, 4 probes each" in words(figure).replace("\n", " ")


def test_names_of_the_matrix(record, words):
    gauss_newton = record(curvature="gauss-newton", layer="fc1")
    assert "eigenvalue of the Gauss–Newton matrix, block of fc1" in words(density(gauss_newton))
    both = density({"sgd": record(), "sam": gauss_newton})
    assert both.axes[0].get_xlabel() == "eigenvalue"


def test_on_axes_of_the_caller(record):
    ax = Figure().subplots()
    assert density(record(), ax=ax) is ax.get_figure()
    assert curves(ax)


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="at least one spectral_density record"):
        density({})
