"""Parts of a study, as an array of jobs runs them: each cell once, joined by the report."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from landscape.study import study as studies
from landscape.study.design import Design
from landscape.study.part import Part, run_part
from landscape.study.plan import plan_of, read_plan, write_plan
from landscape.study.study import Study
from landscape.study.tuning import Tuning

pytestmark = pytest.mark.slow  # runs the program from end to end

CALL = {
    "settings": {"training": {"epochs": 1, "device": "cpu"}},
    "measures": ["noise"],
    "options": {"noise": {"draws": 2, "sigmas": (0.1,)}},
    "workers": 1,
}


def design(path, seeds=2, **more):
    return Design("digits", ["sgd", "sam"], seeds, path, **{**CALL, **more})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_every_cell_is_in_one_part(count):
    cells = list(range(6))
    parts = [Part(k, count).of(cells) for k in range(1, count + 1)]
    assert sorted(chain.from_iterable(parts)) == cells
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ValueError, match=r"`part` is K/N with K from 1 to N, as in 3/8\. Got"):
        Part.parse(text)


def test_parts_are_joined_and_the_missing_ones_named(tmp_path, no_figures):
    whole = studies.compare("digits", ["sgd", "sam"], 2, tmp_path / "whole", **CALL)
    ours = design(tmp_path / "s")
    assert run_part(ours, Part(1, 3), "landscape compare --part 1/3 --task digits") == []
    note = "2 of 4 runs are not finished: sam, seed 0; sgd, seed 1."
    assert note in studies.report(tmp_path / "s").read_text()
    plan = (tmp_path / "s" / "study.json").read_bytes()
    assert json.loads(plan)["command"] == "landscape compare --task digits"
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    for part in (Part(1, 3), Part(2, 3), Part(3, 3), Part(4, 9)):  # again, the rest, again
        command = f"landscape compare --part {part.number}/{part.count} --task digits"
        assert run_part(ours, part, command) == []
    assert (tmp_path / "s" / "study.json").read_bytes() == plan
    assert written.items() <= {p: p.stat().st_mtime_ns for p in written}.items()
    joined = Study(tmp_path / "s")
    assert (joined.record.table == whole.record.table)[:3].all()  # accuracy, losses
    assert "not finished" not in studies.report(joined.path).read_text()


def test_parts_that_write_the_plan_at_once_leave_it_whole(tmp_path):
    ours = design(tmp_path)
    plan = plan_of(ours, Tuning([], {}), {}, ours.cells(ours.overrides({})[0]), "", None)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write_plan(tmp_path, plan), range(40)))
    assert read_plan(tmp_path)["methods"] == ["sgd", "sam"]


def test_a_grid_takes_all_trials(tmp_path):
    tuned = design(tmp_path, grid={"sam.rho": [0.1]}, settings={"data": {"held_out": 0.1}})
    with pytest.raises(ValueError, match="`part` cannot choose from a grid"):
        run_part(tuned, Part(1, 2))
