"""What earlier calls left in a folder stays, and what would take its place is refused."""

import pytest

from landscape.claims import earlier, run
from landscape.claims.earlier import check_folder, trained_methods
from landscape.study.plan import write_plan
from landscape.utils import files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Claims of SAM and of LETS, tested by earlier calls: LETS's second seed is missing."""
    cells = [[m, s, f"runs/{m}-{s}"] for m in ("sgd", "sam", "lets") for s in (0, 1)]
    plan = {"task": "digits", "methods": ["sgd", "sam", "lets"], "seeds": [0, 1], "cells": cells}
    for name in ("digits", "digits-quick"):
        write_plan(tmp_path / name, {**plan, "budget": "epochs", "command": ""})
    monkeypatch.setattr(earlier, "has_ended", lambda path: path.name != "lets-1")
    return tmp_path


@pytest.mark.parametrize("quick", [False, True])
def test_trained_methods_stay_in_a_study_when_another_paper_is_asked_for(folder, quick):
    assert trained_methods(folder / "digits") == {"sgd", "sam"}
    for out, methods in ((folder, ("sgd", "sam", "msam")), (None, ("sam", "msam"))):
        _, studies = run.planned(["msam"], quick=quick, out=out)
        assert studies[0].methods == methods
    assert studies[0].name == ("digits-quick" if quick else "digits")


def test_other_seeds_are_refused_before_anything_is_trained(folder, monkeypatch):
    monkeypatch.setattr(run, "compare", lambda *_, **__: pytest.fail("a study began"))
    with pytest.raises(ValueError, match="digits has the seeds from 0 on, not from 100"):
        run.run(folder, ["msam"], ["digits"], first_seed=100)
    _, studies = run.planned(["msam"], ["digits"], out=folder)
    check_folder(folder, studies, first_seed=0)


def test_a_first_look_does_not_take_the_place_of_the_whole_outcome(folder, monkeypatch):
    monkeypatch.setattr(run, "compare", lambda *_, **__: pytest.fail("a study began"))
    files.write_json(folder / "claims.json", {"quick": False})
    with pytest.raises(ValueError, match="Give `out` another folder for a first look"):
        run.run(folder, ["msam"], quick=True)
    files.write_json(folder / "claims.json", {"quick": True})
    check_folder(folder, [], first_seed=0, quick=True)


def test_a_damaged_study_or_one_without_runs_is_left_out_and_said(folder):
    (folder / "digits" / "study.json").write_text("{")
    assert trained_methods(folder / "digits") == set()
    absent = {}
    with pytest.raises(ValueError, match=r"holds no study of these claims\. digits: .* is damaged"):
        run.judged(folder, run.claims(["msam"]), absent)
    with pytest.raises(ValueError, match=r"digits: .* holds no finished run"):
        run.judged(folder, run.planned(["msam"], quick=True)[0], {}, quick=True)
