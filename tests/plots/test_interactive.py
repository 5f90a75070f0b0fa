"""Figures that answer to the pointer."""

import dataclasses

import numpy as np
import pytest

from landscape.plots import interactive
from landscape.plots.interactive import Symmetric


def test_an_eigenvalue_says_method_seed_value_and_bound(eigenvalues_record):
    record = eigenvalues_record(converged=(True, False, True))
    (figure,) = interactive.spectrum(
        {"sam": {3: record, 5: eigenvalues_record()}, "a<b>": {3: record}}
    )
    first = figure.data[0]
    assert first.hovertemplate.startswith("SAM, seed 3<br>λ = %{customdata}")
    assert list(first.customdata) == ["8 ± 0.5", "4 ± 0.25, not converged", "-1 ± 0.12"]
    assert list(first.marker.symbol) == ["circle", "x", "circle-open"]
    assert list(first.y) == [8, 4, -1] and list(first.error_y.array) == [0.5, 0.25, 0.125]
    assert figure.data[1].hovertemplate.startswith("SAM, seed 5")
    assert figure.layout.xaxis.ticktext[1] == "a&lt;b&gt;"
    assert [trace.meta for trace in figure.data] == ["sam", "sam", "a<b>"]


def test_a_wide_spectrum_is_symmetric_and_logarithmic(eigenvalues_record):
    values = np.array([1000.0, 10.0, 1.0, 1.0, 1.0, -10.0])
    to = Symmetric(values)
    heights = to(values)
    assert (np.sign(heights) == np.sign(values)).all() and heights.max() < 5
    at = dict(zip(to.ticks["ticktext"], to.ticks["tickvals"], strict=True))
    assert at["0"] == 0 and at["1000"] == pytest.approx(heights[0], rel=1e-3)
    assert at["-10"] == pytest.approx(heights[-1], rel=1e-3)
    assert Symmetric(np.array([3.0, 2.0, -1.0])).ticks == {}


def test_noise_says_the_mean_its_interval_and_each_seed(noise_record):
    loss = [[0.1, 0.1], [0.2, 0.4], [1.0, 2.0]]
    found = {0: noise_record(loss), 4: noise_record(np.array(loss) + 1.0)}
    (figure,) = interactive.noise({"sam": found})  # no accuracy: no panel of it
    band, line = figure.data
    assert line.customdata[1].startswith("σ = 0.01: 0.8 [")
    assert line.customdata[1].endswith("<br>seed 0: 0.3<br>seed 4: 1.3")
    np.testing.assert_allclose(line.x, np.sqrt([0.0, 0.01, 0.04]))
    np.testing.assert_allclose(line.y, [0.6, 0.8, 2.0])
    assert band.hoverinfo == "skip" and len(band.x) == 6


def test_a_level_that_is_not_finite_is_a_gap(noise_record):
    (figure,) = interactive.noise({"sam": {0: noise_record([[0.1, 0.1], [0.2, 0.4], [1, np.inf]])}})
    assert figure.data[-1].y[-1] is None


def test_one_panel_for_each_measure_with_its_tau(study_record, comparison_record):
    comparison = dataclasses.replace(comparison_record, methods=study_record.methods)
    (figure,) = interactive.scatter(study_record, comparison)
    sgd, sam = figure.data
    assert list(sgd.x) == [10, 20, 30] and list(sgd.y) == [0.2, 0.3, 0.4]
    assert list(sgd.customdata) == [0, 1, 2] and list(sam.customdata) == [0, 1]
    assert sam.hovertemplate.startswith("SAM, seed %{customdata}<br>λ max of the Hessian: %{x:.4g}")
    assert figure.layout.title.text == "τ = +0.40 [+0.10, +0.70]"
