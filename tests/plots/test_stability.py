"""λ max over training: lines, thresholds, panels."""

import numpy as np
import pytest

from landscape.plots import stability
from landscape.records import SharpnessOverTrainingRecord

NAN = np.nan


def record(scale=1.0, looks=4, lr=0.5, gain=NAN, **columns):
    step = np.arange(looks) * 10.0
    ones = np.ones(looks)
    return SharpnessOverTrainingRecord(
        step=step, epoch=step / 20, learning_rate=lr * ones, threshold=2 / lr * ones,
        loss=1 / (1 + step), grad_norm=ones, w_norm=ones, lambda_max=scale * (1 + step / 10),
        lambda_bound=0.01 * ones, ascent_gain=gain * ones, **columns,
    )  # fmt: skip


def panel(figure, label):
    return next(ax for ax in figure.axes if ax.get_ylabel() == label)


def lines(ax, style):
    return [line for line in ax.lines if line.get_linestyle() == style]


def test_one_line_per_method_and_one_threshold_that_all_share():
    figure = stability({"sgd": [record(1.0), record(3.0)], "sam": [record(2.0, gain=0.1)]})
    top = panel(figure, "λ max of the Hessian")
    first, second = lines(top, "-")
    np.testing.assert_allclose(first.get_ydata(), [2, 4, 6, 8])
    np.testing.assert_allclose(second.get_ydata(), [2, 4, 6, 8])
    (edge,) = lines(top, "--")
    np.testing.assert_allclose(edge.get_ydata(), 4.0)
    assert len(top.collections) == 1
    assert len(lines(panel(figure, "L(w + e) − L(w)"), "-")) == 2


def test_each_its_own_threshold_where_they_differ():
    figure = stability({"sgd": record(lr=0.5), "sam": record(lr=1.0)})
    edges = lines(panel(figure, "λ max of the Hessian"), "--")
    assert [line.get_ydata()[0] for line in edges] == [4.0, 2.0]
    assert edges[0].get_color() != edges[1].get_color()


def test_only_what_was_computed_is_drawn(words):
    labels = [ax.get_ylabel() for ax in stability(record()).axes]
    assert labels == ["λ max of the Hessian", "training loss", "‖∇L‖"]
    traced = record(trace=np.ones(4), trace_stderr=np.ones(4))
    assert "trace of the Hessian" in [ax.get_ylabel() for ax in stability(traced).axes]
    asked = stability(record(), quantities=("lambda_max", "trace"))
    assert "not computed" in words(asked) and "stability threshold" in words(asked)


def test_a_threshold_far_above_does_not_flatten_the_line(words):
    figure = stability(record(lr=1e-4))
    assert panel(figure, "λ max of the Hessian").get_ylim()[1] < 10
    assert "far above, from 20000" in words(figure) and "dashed" not in words(figure)


def test_a_threshold_not_far_above_is_seen(words):
    """λ max reaches 4; 2/η = 8."""
    figure = stability(record(lr=0.25))
    assert panel(figure, "λ max of the Hessian").get_ylim()[1] > 8
    assert "dashed: the stability threshold" in words(figure)


def test_over_epochs_and_looks_that_not_all_reached():
    figure = stability({"sgd": [record(looks=3), record(looks=6)]}, against="epoch")
    (line,) = lines(panel(figure, "λ max of the Hessian"), "-")
    np.testing.assert_allclose(line.get_xdata(), [0.0, 0.5, 1.0])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"quantities": ("lambda",)}, "`quantities` must be among lambda_max, .*Got 'lambda'"),
        ({"against": "time"}, "`against` must be one of step, epoch. Got 'time'"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        stability(record(), **options)
