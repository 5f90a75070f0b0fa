"""One rise for the areas of a study, from made-up records."""

import numpy as np
import pytest

from landscape.records import Point, RiseAreaRecord
from landscape.statistics.common_rise import at_common_rise

POINT = Point(0.1, 0.0, 3.0, 9, 256, "train", "stored", "float32", "cpu", "ab")
NAN = float("nan")


def record(areas, rises=(0.05, 0.1, 0.2)):
    x = np.linspace(-1, 1, 3)
    plane = np.zeros((3, 3))
    return RiseAreaRecord(
        x=x, y=x, loss=plane, accuracy=plane, directions="eigenvectors", cosine=0.0, point=POINT,
        rises=np.array(rises), areas=np.array(areas), area_errors=np.zeros(3),
        eigenvalues=np.ones(2), eigenvalue_bounds=np.zeros(2),
        no_area="" if np.isfinite(areas[1]) else "the contour leaves the plane",
    )  # fmt: skip


def cells(*areas):
    return {("sam", seed): {"rise_area": record(each)} for seed, each in enumerate(areas)}


def read(kept):
    return {key: (held["rise_area"].rise, held["rise_area"].area) for key, held in kept.items()}


def test_the_rise_that_was_asked_for_stays_where_every_minimum_has_an_area():
    kept, said = at_common_rise(cells([1.0, 2.0, 4.0], [3.0, 6.0, NAN]))
    assert read(kept) == {("sam", 0): (0.1, 2.0), ("sam", 1): (0.1, 6.0)} and said == []


@pytest.mark.parametrize(
    ("lacking", "rise", "areas"),
    [
        ([3.0, NAN, NAN], 0.05, (1.0, 3.0)),
        ([3.0, NAN, 12.0], 0.05, (1.0, 3.0)),  # as near: the half
        ([NAN, NAN, 12.0], 0.2, (4.0, 12.0)),
    ],
)
def test_one_run_without_an_area_moves_all_runs_to_the_nearest_rise(lacking, rise, areas):
    kept, (said,) = at_common_rise(cells([1.0, 2.0, 4.0], lacking))
    assert read(kept) == {("sam", i): (rise, area) for i, area in enumerate(areas)}
    assert f"rise of the loss by {rise:g}, at which every minimum has one" in said
    assert "at 0.1, 1 of 2 minima have none (sam seed 1: the contour leaves the plane)" in said


def test_without_a_rise_for_all_the_minima_without_an_area_are_named():
    kept, (said,) = at_common_rise(cells([1.0, 2.0, NAN], [NAN, NAN, 12.0], [1.0, 2.0, 4.0]))
    assert [rise for rise, _ in read(kept).values()] == [0.1] * 3
    assert said.startswith("1 of 3 minima have no area inside a rise of the loss by 0.1")
    assert "(sam seed 1: the contour leaves the plane)" in said
    assert said.endswith("neither 0.05 nor 0.2 has an area of every minimum.")


def test_runs_without_the_record_and_other_rises_are_left_alone():
    given = {**cells([1.0, NAN, 4.0]), ("sgd", 0): {}}
    kept, _ = at_common_rise(given)
    assert kept["sgd", 0] == {} and kept["sam", 0]["rise_area"].rise == 0.05
    given["sgd", 0]["rise_area"] = record([1.0, 2.0, 4.0], rises=(0.1, 0.2, 0.4))
    kept, said = at_common_rise(given)
    assert [held["rise_area"].rise for held in kept.values()] == [0.1, 0.2] and said == []


def test_the_choice_is_the_studys_and_no_file_holds_it():
    chosen = record([1.0, 2.0, 4.0]).at(0)
    assert RiseAreaRecord.from_dataset(chosen.to_dataset()).rise == 0.1
    assert "chosen" not in chosen.to_json()
