"""Published settings: each resolves against our tasks and methods, and says where it is from."""

import shlex
from importlib.resources import files
from pathlib import Path

import pytest
import typer

from landscape.methods import METHODS
from landscape.tasks import published
from landscape.tasks.registry import TASKS, task
from landscape.training.train import settings_for
from landscape_cli import settings, user_code
from landscape_cli.main import app

NAMES = published.names()


def test_there_are_some_of_every_paper_that_has_any():
    assert {"aace", "asam", "fam", "lets", "lookbehind"} <= {n.partition("-")[0] for n in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_command_is_understood_and_its_values_arrive(name, monkeypatch):
    monkeypatch.setattr("landscape.tasks.registry.TASKS", dict(TASKS))
    program, command, *arguments = shlex.split(published.command(name))
    assert (program, command) == ("landscape", "compare")
    given = typer.main.get_command(app).commands[command].make_context(command, arguments).params
    keys = ("model", "model_args", "data", "data_args", "loss")
    of = user_code.task(given["task"], **{key: given[key] for key in keys})
    methods = given["methods"].split(",")
    tree = settings.read(given["config"], None, methods)
    plain = {k: v for k, v in published.read(name).items() if k != "published"}
    for method in methods:
        found = settings_for(of, method, 0, tree).to_dict()
        own_training = plain.get(method.partition("+")[0], {}).get("training", {})
        for key, value in {**plain.get("training", {}), **own_training}.items():
            assert found["training"][key] == (tuple(value) if isinstance(value, list) else value)
        for part in method.split("+"):
            for key, value in plain.get(part, {}).items():
                if not isinstance(value, dict):
                    assert found["methods"][part][key] == value
    assert task(of).model


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_a_source_and_what_is_open_is_marked(name):
    text = (files(published) / f"{name}.toml").read_text()
    assert "# open: " in text
    body = text.partition("\n[")[2]
    lines = [line for line in body.splitlines() if " = " in line]
    for before, line in zip(["", *lines], lines, strict=False):
        explained = "#" in line or line.startswith("gamma") or "epochs" in before or "#" in before
        assert explained, line
    about = published.read(name)["published"]
    assert about["source"] and set("+".join(about["methods"]).split("+")) <= set(METHODS)


def test_they_are_installed_with_the_package():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '"tasks/published/*.toml"' in project and '"landscape.tasks.published"' in project
