"""Studies over a sequence of tasks: their table, their cells, their plans."""

from dataclasses import replace

import numpy as np
import pytest

import landscape as ls
from landscape.records import LIFELONG
from landscape.study.cell import cell_folder
from landscape.study.design import Design
from landscape.study.dry_run import of_study
from landscape.training.train import settings_for

SHORT = {"training": {"epochs": 1, "device": "cpu"}, "lifelong": {"tasks": 2}}


def test_a_plain_run_has_no_section_of_tasks_in_its_settings():
    """So folders from before there were any keep their names."""
    assert "lifelong" not in settings_for("digits", "sam", 0, {}).to_dict()


def test_an_empty_section_makes_a_sequence_of_any_classes():
    assert settings_for("digits", "sam", 0, {"lifelong": {}}).lifelong.tasks == 5
    assert settings_for("split-cifar100", "sam", 0, {}).lifelong.tasks == 20


def test_settings_come_back_from_a_folder(tmp_path):
    settings = settings_for("split-digits", "sam", 0, {"lifelong": {"replay": "balanced"}})
    assert type(settings).from_dict(settings.to_dict()) == settings
    other = replace(settings, lifelong=replace(settings.lifelong, memory=1))
    assert cell_folder(tmp_path, settings) != cell_folder(tmp_path, other)


def test_tasks_that_do_not_share_the_classes_are_refused_before_anything_is_trained():
    with pytest.raises(ValueError, match=r"`lifelong.tasks` must divide the number of classes, 10"):
        Design("split-digits", ["sgd"], settings={"lifelong": {"tasks": 3}})


def test_a_plan_counts_measures_after_each_task(tmp_path):
    def units(measure):
        settings = {"lifelong": {"measure": measure}}
        design = Design(
            "split-digits", ["sgd"], 1, tmp_path, settings=settings,
            measures=["eigenvalues", "surface"],
        )  # fmt: skip
        return {part.name: part.units for part in of_study(design).parts}

    end, task = units("end"), units("task")
    assert task["eigenvalues"] == 5 * end["eigenvalues"] and task["surface"] == end["surface"]


@pytest.mark.slow
def test_a_study_has_the_metrics_of_forgetting(tmp_path):
    study = ls.compare(
        "split-digits", ["sgd", "sam"], 3, tmp_path / "study", settings=SHORT,
        measures=["eigenvalues"], options={"eigenvalues": {"k": 1, "tolerance": 0.1}},
        examples=40, workers=1,
    )  # fmt: skip
    for method, seed in study.runs:
        record = study.cells[method, seed]["lifelong"]
        for name in set(LIFELONG) - {"average_accuracy"}:
            assert study.record.values(name, method)[seed] == getattr(record, name)
        average = study.record.values("test_accuracy", method)[seed]
        assert average == pytest.approx(record.average_accuracy)
    i = list(study.comparison.metrics).index("forgetting")
    assert np.isfinite(study.comparison.difference[i, 1])
    assert "forgetting" in study.report.read_text()
