"""landscape list: every registered name, with what a user needs to choose."""

import json
import subprocess
import sys

from landscape.data import DATA
from landscape.measures import MEASURES, STANDARD
from landscape.methods import METHODS
from landscape.models import MODELS
from landscape.plots import PLOTS
from landscape.tasks.published import names
from landscape.tasks.registry import TASKS
from landscape_cli import catalogue
from landscape_cli.commands.list import CATALOGUE

REGISTRIES = {
    "methods": METHODS, "tasks": TASKS, "measures": MEASURES, "figures": PLOTS, "models": MODELS,
    "data": DATA, "settings": names(), "published": names(),
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


def test_measures_say_whether_they_are_standard(landscape):
    entries = json.loads(landscape("list", "measures", "--json").out)["measures"]
    assert [entry["name"] for entry in entries if entry["standard"]] == list(STANDARD)
    text = landscape("list", "measures").out
    assert text.count("taken: where no measures are named") == len(STANDARD)
    assert text.count("taken: where it is named, or all are") == len(MEASURES) - len(STANDARD) >= 6


def test_one_kind_alone(landscape):
    assert landscape("list", "tasks").out.startswith("tasks\n  digits ")


def test_an_unknown_kind_names_the_nearest(refused):
    (line,) = refused("list", "method")
    assert line.startswith("Unknown kind 'method'. Did you mean 'methods'?")


def test_methods_show_the_radius_in_force_for_every_nesting(landscape):
    text = landscape("list", "methods").out
    assert "radius: sam: ‖e‖ = 0.05, of sam\n" in text
    assert "lookbehind+asam: ‖e/T‖ = 0.5, of asam" in text
    entries = json.loads(landscape("list", "methods", "--json").out)["methods"]
    for entry in entries:
        nested = [f"{entry['name']}+{inner}" for inner in entry["inside"]]
        assert list(entry["radii"]) == [entry["name"], *nested]


def test_published_settings_show_radii_sizes_and_what_is_open(landscape):
    text = landscape("list", "published").out
    aace = text.partition("aace-cifar10-wrn28-10 ")[2].partition("\n  a")[0]
    assert "parameters: 46,160,474" in aace and "radius: sgd: none; aace: ‖e‖/‖a‖ = 0.2" in aace
    assert "open: which rho made the tables" in aace and "differs: the code's cutout" in aace
    assert "use: landscape compare --task cifar10-resnet18 --model wrn34-10" in aace
