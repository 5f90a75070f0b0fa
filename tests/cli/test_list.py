"""landscape list: every registered name, with what a user needs to choose."""

import json
import subprocess
import sys

from landscape.data import DATA
from landscape.measures import MEASURES
from landscape.methods import METHODS
from landscape.models import MODELS
from landscape.plots import PLOTS
from landscape.tasks.published import names
from landscape.tasks.registry import TASKS
from landscape_cli import catalogue
from landscape_cli.commands.list import CATALOGUE

REGISTRIES = {
    "methods": METHODS, "tasks": TASKS, "measures": MEASURES, "figures": PLOTS, "models": MODELS,
    "data": DATA, "settings": names(),
}  # fmt: skip


def test_all_names_are_listed(landscape):
    found = json.loads(landscape("list", "--json").out)
    assert {kind: [entry["name"] for entry in found[kind]] for kind in found} == {
        kind: list(registry) for kind, registry in REGISTRIES.items()
    }


def test_the_catalogue_is_up_to_date():
    """Passes per step are counted here, by running steps of every method."""
    assert CATALOGUE.read_text(encoding="utf-8") == catalogue.text(), (
        "The list is out of date: python -m landscape_cli.catalogue"
    )


def test_a_list_imports_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['landscape', 'list', 'methods'];"
        "from landscape_cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("methods\n  sgd "), done.stderr


def test_every_entry_says_what_it_is(landscape):
    for entries in json.loads(landscape("list", "--json").out).values():
        assert all(entry["summary"].endswith(".") or entry["summary"] for entry in entries)


def test_methods_come_with_cost_and_defaults(landscape):
    sam = next(
        entry
        for entry in json.loads(landscape("list", "methods", "--json").out)["methods"]
        if entry["name"] == "sam"
    )
    assert sam["cost"] == "2 passes a step."
    assert sam["passes_per_step"] == 2 and sam["inside"] == []
    assert sam["defaults"] == {"rho": 0.05, "normalize": True}
    text = landscape("list", "methods").out
    assert "cost: 2 passes a step." in text
    assert "defaults: rho=0.05" in text
    assert "over=" not in text
    assert "passes per step: 2 (counted)" in text
    assert "takes inside: lookbehind+sam, " in text


def test_every_method_states_its_cost(landscape):
    entries = json.loads(landscape("list", "methods", "--json").out)["methods"]
    assert all("pass" in entry["cost"] for entry in entries)


def test_one_kind_alone(landscape):
    assert landscape("list", "tasks").out.startswith("tasks\n  digits ")


def test_an_unknown_kind_names_the_nearest(refused):
    (line,) = refused("list", "method")
    assert line.startswith("Unknown kind 'method'. Did you mean 'methods'?")
