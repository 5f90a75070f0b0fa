"""Accuracy under noise minus the baseline's."""

from dataclasses import replace

import numpy as np
import pytest

from landscape.plots import noise_difference
from landscape.plots.drawing.style import METHOD_STYLES

T_2 = 12.706204736432095  # 97.5 % quantile of Student's t with one degree of freedom


@pytest.fixture
def record(noise_record):
    """Mean accuracies at the three levels, from two draws to either side."""

    def make(*means, **settings):
        accuracy = np.array(means)[:, None] + np.array([-0.01, 0.01])
        return noise_record(1 - accuracy, accuracy, **settings)

    return make


def curve(figure, method):
    lines = (line for line in figure.axes[0].get_lines() if line.get_gid() == method)
    return next(lines).get_ydata()


def band(figure, method, sigma):
    (patch,) = (c for c in figure.axes[0].collections if c.get_gid() == method)
    edges = patch.get_paths()[0].vertices
    at = edges[edges[:, 0] == sigma, 1]
    return [at.min(), at.max()]


def test_differences_by_hand_and_by_seed(record, words):
    """Seeds 1 and 2 are shared, written in another order: at σ = 0.04 10 and 30 points."""
    base = {2: record(0.9, 0.8, 0.4), 1: record(0.8, 0.7, 0.6), 0: record(0.1, 0.1, 0.1)}
    sam = {1: record(0.9, 0.8, 0.7), 2: record(0.9, 0.9, 0.7), 7: record(0.2, 0.2, 0.2)}
    figure = noise_difference({"sgd": base, "sam": sam}, "sgd")
    assert curve(figure, "sam") == pytest.approx([5.0, 10.0, 20.0])
    assert curve(figure, "sgd").tolist() == [0.0, 0.0, 0.0]
    assert band(figure, "sam", 0.04) == pytest.approx([20 - 10 * T_2, 20 + 10 * T_2])
    assert band(figure, "sam", 0.01) == pytest.approx([10, 10])  # of any other pairs it is wide
    said = words(figure).replace("\n", " ")
    assert "mean over 2 seeds shared with SGD" in said
    assert "95 % t interval of the paired difference" in said


def test_the_axis_is_linear_and_holds_zero(record):
    far = {seed: record(0.9, 0.9, 0.9 - 0.001 * seed) for seed in range(3)}
    base = {seed: record(0.5, 0.5, 0.5) for seed in range(3)}
    ax = noise_difference({"sgd": base, "sam": far}, "sgd").axes[0]
    assert ax.get_yscale() == "linear" and ax.get_ylim()[0] < 0 < ax.get_ylim()[1]
    assert ax.get_ylabel() == "accuracy minus SGD's (points)"


def test_many_methods_are_small_multiples_on_one_axis(record):
    runs = {
        method: {seed: record(0.9 - 0.01 * i, 0.8, 0.7 - 0.002 * seed * i) for seed in range(3)}
        for i, method in enumerate(METHOD_STYLES)
    }
    panels = [ax for ax in noise_difference(runs, "sgd").axes if ax.get_visible()]
    assert len(panels) == len(METHOD_STYLES) - 1
    assert len({ax.get_ylim() for ax in panels}) == 1


def test_a_draw_that_is_not_finite_leaves_a_gap(record):
    base = {0: record(0.5, 0.5, 0.5), 1: record(0.5, 0.5, 0.5)}
    broken = {0: record(0.6, 0.6, np.nan), 1: record(0.6, 0.6, 0.6)}
    drawn = curve(noise_difference({"sgd": base, "sam": broken}, "sgd"), "sam")
    assert np.isfinite(drawn).tolist() == [True, True, False]


def test_a_task_without_accuracy(noise_record, words):
    none = {0: noise_record([[1.0], [2.0], [3.0]])}
    figure = noise_difference({"sgd": none, "sam": none}, "sgd")
    assert "not computed for this task" in words(figure)


def test_refuses_what_cannot_be_paired(record):
    one = record(0.9, 0.8, 0.7)
    with pytest.raises(ValueError, match=r"a seed of the baseline 'sgd'. Got none."):
        noise_difference({"sgd": {0: one}, "sam": {1: one}}, "sgd")
    with pytest.raises(ValueError, match="must share scale"):
        noise_difference({"sgd": {0: one}, "sam": {0: replace(one, scale="rms")}}, "sgd")
