"""How a study names the weights that its runs started from: without folders of this machine."""

from pathlib import Path

import pytest

import landscape as ls
from landscape.study.study import _without_places


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("low", "low"),
        ("hf:google/bert", "hf:google/bert"),
        ("/work/studies/low", "../low"),
        ("/work/studies/one/start/low.pt", "start/low.pt"),
        ("/data/runs/low", "low"),
        ("/data/bert/model.safetensors", "bert/model.safetensors"),
    ],
)
def test_a_source_is_named_from_the_study_or_by_its_name(source, shown):
    settings = {"init": {"source": source, "drop": ["head.*"]}, "seed": 0}
    found = _without_places(settings, Path("/work/studies/one"))
    assert found == {"init": {"source": shown, "drop": ["head.*"]}, "seed": 0}
    assert settings["init"]["source"] == source


def test_settings_without_given_weights_stay_as_they_are():
    assert _without_places({"seed": 0}, Path("/work/studies/one")) == {"seed": 0}


@pytest.mark.slow
def test_a_fine_tuning_study_shows_where_it_started_and_how_far_it_went(tmp_path):
    short = {"training": {"epochs": 1, "device": "cpu"}}
    low = ls.train("digits-low", "sgd", out=tmp_path / "low", settings=short)
    settings = {**short, "init": {"source": str(low.path)}}
    study = ls.compare(
        "digits-high", ["sgd", "sam"], 2, tmp_path / "study", settings=settings, workers=1,
        measures=["eigenvalues"], examples=20, options={"eigenvalues": {"k": 1, "tolerance": 0.1}},
    )  # fmt: skip
    page = study.report.read_text(encoding="utf-8")
    digest = study.runs["sgd", 0].settings.init.sha256[:12]
    assert f"Training started from “low” (SHA-256 {digest}…), head drawn anew; all 7,413" in page
    assert '<th scope="row">init.source</th><td>../low</td>' in page
    assert str(tmp_path) not in page[: page.index('<section id="reproduce"')]
    assert '<section id="displacement">' in page
    assert "of the parts from the file" in page.casefold()
    assert (study.path / "figures" / "displacement.svg").is_file()
