"""What the figures of a sequence of tasks draw."""

from dataclasses import replace

import numpy as np
import pytest

from landscape import plots


@pytest.fixture
def records(made_up):
    return made_up["lifelong"]


def line_of(panel, method):
    return next(line for line in panel.lines if line.get_gid() == method).get_xydata()


def test_a_panel_shows_a_task_from_before_the_first_on(records):
    panels = plots.task_accuracy(records).axes[:5]
    assert [panel.get_title(loc="left") for panel in panels] == [f"task {j}" for j in range(1, 6)]
    found = line_of(panels[1], "sam")
    expected = [50.0, *100 * np.mean([r.accuracy[:, 1] for r in records["sam"]], axis=0)]
    assert np.allclose(found, np.column_stack([range(6), expected]))


def test_the_band_is_the_t_interval_over_seeds(records):
    panel = plots.task_accuracy(records).axes[0]
    (band,) = [c for c in panel.collections if c.get_gid() == "sgd"]
    values = 100 * np.array([r.accuracy[4, 0] for r in records["sgd"]])
    half = 4.302653 * values.std(ddof=1) / 3**0.5
    (path,) = band.get_paths()
    ends = [y for x, y in path.vertices if x == 5]
    assert min(ends) == pytest.approx(values.mean() - half, rel=1e-5)
    assert max(ends) == pytest.approx(values.mean() + half, rel=1e-5)


def test_the_heat_map_has_tasks_in_columns(records, words):
    figure = plots.accuracy_matrix(records)
    shown = figure.axes[0].images[0].get_array()
    mean = np.mean([r.accuracy for r in records["sgd"]], axis=0)
    assert np.allclose(shown[1:], 100 * mean) and np.allclose(shown[0], 50)
    assert f"{100 * mean[4, 0]:.0f}" in words(figure) and "framed" in words(figure)
    frames = [p.get_xy() for p in figure.axes[0].patches]
    assert [(round(x + 0.46), round(y - 0.54)) for x, y in frames] == [(j, j) for j in range(5)]


def test_a_bar_ends_at_the_mean_over_seeds(records):
    figure = plots.lifelong_metrics(records, metrics=["forgetting"])
    ends = [patch.get_x() + patch.get_width() for patch in figure.axes[0].patches]
    assert np.allclose(ends, [100 * np.mean([r.forgetting for r in rs]) for rs in records.values()])


def test_one_task_has_bars_of_accuracies_alone(records, words):
    one = {
        "sgd": [
            replace(
                r, accuracy=r.accuracy[:1, :1], loss=r.loss[:1, :1], start=r.start[:1],
                start_loss=r.start_loss[:1],
            )
            for r in records["sgd"]
        ]
    }  # fmt: skip
    assert words(plots.lifelong_metrics(one)).count("not defined for one task") == 3


def test_sharpness_and_the_way_to_the_end(records):
    sharp, way = plots.task_sharpness(records).axes
    mean = np.mean([r.quantity("lambda_max") for r in records["lets"]], axis=0)
    assert np.allclose(line_of(sharp, "lets")[:, 1], mean)
    ends = line_of(way, "lets")[[0, -1], 1]
    a = np.mean([r.accuracy for r in records["lets"]], axis=0)
    assert np.allclose(ends, [100 * a.diagonal()[:-1].mean(), 100 * a[-1, :-1].mean()])


def test_what_was_not_measured_is_said(records, words):
    plain = {
        "sam": [
            replace(r, quantities=None, measured=None, position=None, path_accuracy=None)
            for r in records["sam"]
        ]
    }
    assert words(plots.task_sharpness(plain)).count("not measured after each task") == 2


def test_records_of_other_sequences_do_not_stand_side_by_side(records):
    first = records["sgd"][0]
    shorter = replace(
        first, accuracy=first.accuracy[:2, :2], loss=first.loss[:2, :2], start=first.start[:2],
        start_loss=first.start_loss[:2],
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"`records` must have one number of tasks. Got \[2, 5\]."):
        plots.task_accuracy({"sgd": first, "sam": shorter})


def test_a_metric_that_there_is_not_is_refused(records):
    with pytest.raises(ValueError, match="`metrics` must be among average_accuracy"):
        plots.lifelong_metrics(records, metrics=["lambda_max"])
