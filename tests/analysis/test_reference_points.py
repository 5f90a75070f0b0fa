"""Surfaces and paths between runs: trajectories, planes of minima, lines."""

import shutil

import numpy as np
import pytest
import torch

from landscape.analysis import reference_points
from landscape.analysis.analyze import analyze
from landscape.network.weights import Weights
from landscape.training.run import Run
from landscape.training.train import train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three short runs of one network; the first kept its way."""
    folder = tmp_path_factory.mktemp("runs")
    made = []
    for seed in range(3):
        training = {"epochs": 1 if seed else 3, "device": "cpu", "snapshots": 0 if seed else 3}
        made.append(
            train("digits", "sgd", seed, folder / str(seed), settings={"training": training})
        )
    return made


def ask(run, name, *, among=(), to=None, **options):
    options = {name: {"size": 3, **options}}
    found = analyze(run, [name], examples=64, options=options, among=among, to=to)
    return found[name]


def test_a_trajectory_is_the_snapshots_in_order(runs):
    run, found = runs[0], reference_points.trajectory(runs[0])
    assert list(found) == ["1", "2", "3"]
    assert torch.equal(found["3"], Weights(run.model()).read())
    distances = [float((w - found["3"]).norm()) for w in found.values()]
    assert distances == sorted(distances, reverse=True)


def test_a_trajectorys_surface(runs):
    record = ask(runs[0], "surface", directions="trajectory")
    assert record.directions == "trajectory"
    assert record.point_names.tolist() == ["1", "2", "3"]
    np.testing.assert_allclose(record.points[-1], 0, atol=1e-5)
    assert record.centre == pytest.approx(record.point.loss, rel=1e-5)
    assert (record.point.split, record.other_point["split"]) == ("train", "test")
    assert record.other_loss.shape == (3, 3)


def test_one_plane_of_minima_for_all_runs(runs):
    found = [ask(run, "surface", among=runs, directions="minima") for run in runs]
    for i, record in enumerate(found):
        np.testing.assert_allclose(record.points, found[0].points, atol=1e-5)
        np.testing.assert_array_equal(record.x, found[0].x)
        np.testing.assert_allclose(record.position, record.points[i], atol=1e-5)
        assert record.points_off_plane.max() < 1e-4  # three points lie on their plane
    assert found[0].point_names.tolist() == ["sgd, seed 0", "sgd, seed 1", "sgd, seed 2"]


def test_planes_of_one_run_stand_side_by_side(runs, tmp_path):
    """Each keeps its numbers, is not asked twice, and replaces itself alone."""
    copy = shutil.copytree(runs[0].path, tmp_path / "run")
    shutil.rmtree(copy / "records", ignore_errors=True)
    run = Run(copy)
    way = ask(run, "surface", directions="trajectory")
    random = ask(run, "surface", directions="random")
    ask(run, "profile", directions="eigenvectors", lines=2)
    ask(run, "profile", lines=2)
    files = ["profile-random.nc", "profile.nc", "surface-random.nc", "surface.nc"]
    assert sorted(p.name for p in copy.glob("records/*.nc")) == files
    kept = run.records()
    np.testing.assert_array_equal(kept["surface"].loss, random.loss)
    np.testing.assert_array_equal(kept["surface-trajectory"].loss, way.loss)
    assert kept["profile-eigenvectors"].directions == "eigenvectors"
    before = {p: p.stat().st_mtime_ns for p in copy.glob("records/*.nc")}
    ask(run, "surface", directions="trajectory")
    ask(run, "surface", directions="random")
    assert {p: p.stat().st_mtime_ns for p in before} == before
    larger = ask(run, "surface", directions="random", size=5)
    assert {p.name for p in before if p.stat().st_mtime_ns != before[p]} == {"surface-random.nc"}
    np.testing.assert_array_equal(run.records()["surface"].loss, larger.loss)
    assert not run.unsound


def test_a_path_ends_at_the_other_run(runs):
    record = ask(runs[0], "path", to=runs[1])
    assert record.end == "sgd, seed 1"
    assert record.other_point["split"] == "test"
    objective = runs[0].objective("train", examples=64)
    assert record.loss[-1] == pytest.approx(
        objective.value(reference_points.final(runs[1])), rel=1e-5
    )


def test_the_same_question_is_not_asked_twice(runs):
    ask(runs[0], "path", to=runs[1])
    path = runs[0].path / "records" / "path.nc"
    before = path.stat().st_mtime_ns
    ask(runs[0], "path", to=runs[1])
    assert path.stat().st_mtime_ns == before
    ask(runs[0], "path", to=runs[2])
    assert path.stat().st_mtime_ns != before


def test_no_rows_are_left_behind(runs):
    ask(runs[2], "profile", lines=2)
    assert not list((runs[2].path / "records").glob(".*"))


def test_two_runs_of_one_name_keep_two_names(runs):
    names = list(reference_points.minima([runs[0], runs[1], runs[0]]))
    assert names == ["sgd, seed 0", "sgd, seed 1", "sgd, seed 0, 0"]


def test_what_is_missing_is_said(runs):
    with pytest.raises(ValueError, match=r"at least three runs that ended well. Got 2"):
        ask(runs[0], "surface", among=runs[:2], directions="minima")
    with pytest.raises(ValueError, match=r"1 of at least 3. Train it with --snapshots 20"):
        ask(runs[1], "surface", directions="trajectory")
    with pytest.raises(ValueError, match=r"A path needs its other `end`.*--to RUN"):
        ask(runs[0], "path")
