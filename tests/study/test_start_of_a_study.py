"""How a study names the weights that its runs started from: without folders of this machine."""

from pathlib import Path

import pytest

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
