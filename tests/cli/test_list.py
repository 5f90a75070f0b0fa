"""landscape list: every registered name, with what a user needs to choose."""

import json

from landscape.data import DATA
from landscape.measures import MEASURES
from landscape.methods import METHODS
from landscape.models import MODELS
from landscape.tasks.published import names
from landscape.tasks.registry import TASKS

REGISTRIES = {
    "methods": METHODS, "tasks": TASKS, "measures": MEASURES, "models": MODELS, "data": DATA,
    "settings": names(),
}  # fmt: skip


def test_all_names_are_listed(landscape):
    found = json.loads(landscape("list", "--json").out)
    assert {kind: [entry["name"] for entry in found[kind]] for kind in found} == {
        kind: list(registry) for kind, registry in REGISTRIES.items()
    }


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
