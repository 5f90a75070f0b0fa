"""Figures of the newer measures: every mark stands at a number of its record."""

import numpy as np
import pytest

from landscape.plots import (
    adaptive_sharpness,
    batch_eigenvalues,
    calibration,
    critical_sharpness,
    fisher_rao,
    pac_bayes,
)
from landscape.records import (
    AdaptiveSharpnessRecord,
    BatchEigenvaluesRecord,
    CalibrationRecord,
    CriticalSharpnessRecord,
    FisherRaoRecord,
    PacBayesRecord,
)

NAN = float("nan")


def points(line):
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def test_adaptive_sharpness_has_the_worst_case_and_the_average(point):
    radii, worst = np.array([0.1, 0.2]), np.array([[1.0, 3.0], [2.0, 6.0]])
    average = np.array([[0.1, 0.3], [0.2, 0.4]])
    record = AdaptiveSharpnessRecord(
        radii, worst, average, 10 * radii, np.zeros(2), np.ones(2), "l2", "norm", point=point
    )
    left, right = adaptive_sharpness({"sgd": [record]}).axes[:2]
    assert [a.tolist() for a in points(left.lines[0])] == [[0.1, 0.2], [2.0, 4.0]]
    for found, expected in zip(points(right.lines[0]), ([1.0, 2.0], [0.2, 0.3]), strict=True):
        np.testing.assert_allclose(found, expected)
    assert "l2 of δ/|w|" in left.get_xlabel()


def test_batch_eigenvalues_stand_beside_that_of_all(point):
    values = np.array([4.0, 5.0, 9.0])
    record = BatchEigenvaluesRecord(
        values, 0.01 * values, 0.3 * values, 3.0, 0.1, 4.0, 9.0, 64, "hessian", point=point
    )
    left, right = batch_eigenvalues({"sgd": [record], "sam": [record]}).axes[:2]
    dots, dash = left.lines[:2]
    assert points(dots)[1].tolist() == [4.0, 5.0, 9.0]
    assert points(dash)[1].tolist() == [3.0, 3.0]
    np.testing.assert_allclose(points(right.lines[0])[1], 0.3 * values)


def test_reliability_has_accuracy_over_confidence(point, words):
    """Two bins of 20; a third of fewer than ten is left out."""
    confidence = np.repeat([0.55, 0.85, 0.98], [20, 20, 5])
    correct = np.concatenate([np.arange(20) < 10, np.arange(20) < 15, np.ones(5)]).astype(float)
    record = CalibrationRecord(
        confidence, correct, 0.7, 0.7, 0.5, 0.3, 0.123, 0.1, 0.2, 0.1, 0.045, 0.06,
        point=point, settings={"bins": 10},
    )  # fmt: skip
    figure = calibration({"sgd": [record]})
    x, y = points(figure.axes[0].lines[1])
    np.testing.assert_allclose(x, [0.55, 0.85])
    np.testing.assert_allclose(y, [0.5, 0.75])
    assert "SGD 0.123; perfect calibration shows 0.045" in words(figure).replace("\n", " ")


def bar(panel):
    """Ends of the first horizontal error bar."""
    (segment,) = panel.collections[0].get_segments()
    return segment[:, 0].tolist()


def test_numbers_with_their_intervals(point):
    pac = PacBayesRecord(
        np.array([0.1, 0.4]), np.array([0.08, 0.3]), np.array([0.15, 0.6]), np.ones(2, bool),
        ("plain", "magnitude"), "error", 0.1, 0.05, 500, point=point, settings={"draws": 10},
    )  # fmt: skip
    plain, magnitude = pac_bayes({"sgd": [pac]}).axes[:2]
    assert bar(plain) == pytest.approx([0.08, 0.15])
    assert bar(magnitude) == pytest.approx([0.3, 0.6])
    norm = FisherRaoRecord(0.4, 0.02, 0.2, 0.03, point=point)
    model, data = fisher_rao({"sgd": [norm]}).axes[:2]
    assert bar(model) == pytest.approx([0.4 - 1.96 * 0.02, 0.4 + 1.96 * 0.02], abs=1e-4)
    assert bar(data) == pytest.approx([0.2 - 1.96 * 0.03, 0.2 + 1.96 * 0.03], abs=1e-4)


def test_critical_sharpness_stands_beside_the_directional(point):
    record = CriticalSharpnessRecord(
        value=8.0, low=7.8, high=8.2, stderr=0.5, directional=7.5, slope=1.0, looks=9,
        direction="gradient", point=point,
    )  # fmt: skip
    left, right = critical_sharpness({"sgd": [record]}).axes[:2]
    assert bar(left) == pytest.approx([8 - 0.98, 8 + 0.98], abs=1e-3)
    assert points(right.lines[0])[0].tolist() == [7.5]


def test_a_noise_that_nothing_crosses_has_no_mark(point):
    record = PacBayesRecord(
        np.array([NAN, 0.4]), np.array([2.0, 0.3]), np.array([NAN, NAN]), np.ones(2, bool),
        ("plain", "magnitude"), "error", 0.1, 0.05, 500, point=point, settings={"draws": 10},
    )  # fmt: skip
    plain, magnitude = pac_bayes({"sgd": [record]}).axes[:2]
    assert not plain.collections
    assert "no number was found" in " ".join(t.get_text() for t in plain.texts)
    assert bar(magnitude) == pytest.approx([0.3, 0.4])
