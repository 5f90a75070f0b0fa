"""What the figure of the distances from the start draws."""

from dataclasses import replace

import numpy as np
import pytest

from landscape import plots
from landscape.plots.numbers.displacement import MOST, depth_of
from landscape.records import DisplacementRecord


@pytest.fixture
def records(made_up):
    return made_up["displacement"]


def marks(panel, method):
    """Places of a method's marks, full ones first, then hollow ones."""
    lines = [line for line in panel.lines if line.get_gid() == method]
    return [xy[np.isfinite(xy).all(axis=1)] for xy in (line.get_xydata() for line in lines)]


def network(names):
    ones = np.ones(len(names))
    return DisplacementRecord(
        parameters=np.array(names), elements=ones, distance=ones, start_norm=ones,
        frozen=ones < 0, drawn=ones < 0,
    )  # fmt: skip


def test_a_row_is_a_module_and_a_mark_the_mean_over_seeds(records):
    relative, distance = plots.displacement({"sgd": records["sgd"]}).axes
    rows = [label.get_text() for label in relative.get_yticklabels()]
    assert rows == ["conv1", "norm1 (frozen)", "conv2", "conv3", "head (drawn)"]
    assert (relative.get_xlabel(), distance.get_xlabel()) == ("‖w − w₀‖ / ‖w₀‖", "‖w − w₀‖")
    full, hollow = marks(distance, "sgd")
    each = np.array([r.distance for r in records["sgd"]])
    assert np.allclose(full, np.column_stack([each.mean(axis=0)[[0, 3, 4]], [0, 2, 3]]))
    assert np.allclose(hollow, [[each[:, 5].mean(), 4]])
    start = records["sgd"][0].start_norm
    assert np.allclose(marks(relative, "sgd")[0][:, 0], (each / start).mean(axis=0)[[0, 3, 4]])
    top, bottom = relative.get_ylim()[::-1]
    assert top < 0 < 4 < bottom  # the input lies above


def test_the_bar_is_the_t_interval_over_seeds(records):
    panel = plots.displacement({"sam": records["sam"]}).axes[1]
    (bars,) = [c for c in panel.collections if c.get_gid() == "sam"]
    values = np.array([r.distance[0] for r in records["sam"]])
    half = 4.302653 * values.std(ddof=1) / 3**0.5
    ends = bars.get_paths()[0].vertices[:, 0]
    assert ends == pytest.approx([values.mean() - half, values.mean() + half], rel=1e-5)


def test_methods_stand_beside_each_other_in_a_row(records):
    panel = plots.displacement(records).axes[0]
    places = [marks(panel, method)[0][0, 1] for method in records]
    assert len(set(places)) == len(records) and np.abs(places).max() < 0.5


def test_a_lone_mark_among_small_multiples_stays(records):
    """Between frozen parts a line has no length, and the baseline no bar."""
    four = {**records, "asam": records["sam"], "msam": records["sam"], "fam": records["sam"]}
    panel = plots.displacement(four, baseline="sgd").axes[0]
    line = next(line for line in panel.lines if line.get_gid() == "sgd")
    assert line.get_markersize() > 0 and list(line.get_markevery()) == [0]


def test_a_part_that_one_method_trains_has_one_row(records, words):
    still = [replace(r, frozen=np.array([True] * 5 + [False])) for r in records["sam"]]
    figure = plots.displacement({"sam": still, "sgd": records["sgd"]})
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == ["conv1", "norm1 (frozen)", "conv2", "conv3", "head (drawn)"]
    assert [len(found) for found in marks(figure.axes[0], "sam")] == [0, 1]
    assert "frozen parts have no mark" in words(figure)


def test_a_module_of_which_a_method_freezes_a_part_has_two_rows(records):
    names = np.array(["a.weight", "a.bias", "b.weight"])
    parts = {"elements": np.ones(3), "distance": np.ones(3), "start_norm": np.ones(3)}
    half = DisplacementRecord(
        parameters=names, frozen=np.array([True, False, False]), drawn=np.zeros(3, bool), **parts
    )
    panel = plots.displacement({"sgd": half, "sam": network(list(names))}).axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["a (frozen)", "a", "b"]


def test_where_all_is_frozen_it_is_said(records, words):
    still = [replace(r, frozen=np.ones(6, dtype=bool)) for r in records["sgd"]]
    assert "every part is frozen" in words(plots.displacement({"sgd": still}))


def test_many_modules_stand_together_by_what_their_names_begin_with():
    many = [f"layer{i}.{j}.conv{k}.weight" for i in range(4) for j in range(3) for k in range(3)]
    assert len(many) > MOST
    record = network(["stem.weight", *many])
    assert depth_of([record]) == 2 and len(record.parts(2)) == 13
    assert depth_of([network(many[:6])]) is None
    assert depth_of([network([f"a.{i}.b.weight" for i in range(30)])]) == 1


def test_seeds_of_two_networks_do_not_make_a_mean(records):
    other = network(["conv1.weight"])
    with pytest.raises(ValueError, match="`records` of sgd must be of one network"):
        plots.displacement({"sgd": [records["sgd"][0], other]})
