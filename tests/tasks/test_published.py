"""Published settings: each resolves against our tasks and methods, and says where it is from."""

import importlib.util
import shlex
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import typer

from landscape.methods import METHODS, radii
from landscape.tasks import published
from landscape.tasks.registry import task
from landscape.training.settings import unlabelled
from landscape.training.train import settings_for
from landscape_cli import settings, user_code
from landscape_cli.main import app

NAMES = published.names()
# Radii and sizes as the papers' code has them, written down here a second time.
RADII = {
    "aace": {"sgd": None, "aace": 0.2},
    "asam-cifar10": {"sam": 0.05, "asam": 0.5},
    "asam-cifar100": {"sam": 0.1, "asam": 1.0},
    "fam": {"sgd": None, "sam": 0.05, "fam": None},
    "lets": {"lets": 0.05, "lets+asam": 0.5},
    "lookbehind-cifar10-": {
        **{"sam": 0.05, "asam": 0.5, "lookbehind+sam": 0.05, "lookbehind+asam": 0.5},
    },
    "lookbehind-cifar100-": {
        **{"sam": 0.1, "asam": 1.0, "lookbehind+sam": 0.1, "lookbehind+asam": 1.0},
    },
    "understanding-sam": {"sam": 0.1, "msam": 0.1},
}
PARAMETERS = {
    "aace-cifar10-pyramidnet272": 41_111_801,
    "aace-cifar10-wrn28-10": 46_160_474,
    "aace-cifar100-pyramidnet272": 41_111_801 + 90 * 217,
    "aace-cifar100-wrn28-10": 46_160_474 + 90 * 641,
    "asam-cifar10": 36_479_194,
    "asam-cifar100": 36_479_194 + 90 * 641,
    "fam-cifar10-resnet18": 11_173_962 - 5_130 + 513 * 64 + 650,
    "fam-fashion-mnist-wrn28-10": 36_479_194 - 6_410 + 641 * 64 + 650 - 288,
    "fam-svhn-wrn28-10": 36_479_194 - 6_410 + 641 * 64 + 650,
    "lookbehind-cifar10-resnet34": 21_282_122,
    "lookbehind-cifar10-resnet50": 23_520_842,
    "lookbehind-cifar100-resnet34": 21_282_122 + 90 * 513,
    "lookbehind-cifar100-resnet50": 23_520_842 + 90 * 2049,
    "understanding-sam-cifar10-resnet18": 11_173_962,
}


def understood(name):
    """The task and the settings of each method, by the published command itself."""
    program, command, *arguments = shlex.split(published.command(name))
    assert (program, command) == ("landscape", "compare")
    given = typer.main.get_command(app).commands[command].make_context(command, arguments).params
    keys = ("model", "model_args", "data", "data_args", "loss")
    of = user_code.task(given["task"], **{key: given[key] for key in keys})
    methods = given["methods"].split(",")
    tree = settings.read(given["config"], None, methods)
    return of, {method: settings_for(of, method, 0, tree) for method in methods}


def test_there_are_some_of_every_paper_that_has_any():
    assert {"aace", "asam", "fam", "lets", "lookbehind"} <= {n.partition("-")[0] for n in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_command_is_understood_and_its_values_arrive(name):
    plain = {k: v for k, v in published.read(name).items() if k != "published"}
    of, chosen = understood(name)
    for method, found in ((m, s.to_dict()) for m, s in chosen.items()):
        own_training = plain.get(method.partition("+")[0], {}).get("training", {})
        for key, value in {**plain.get("training", {}), **own_training}.items():
            assert found["training"][key] == (tuple(value) if isinstance(value, list) else value)
        for part in method.split("+"):
            for key, value in plain.get(part, {}).items():
                if not isinstance(value, dict):
                    assert found["methods"][part][key] == value
    assert task(of).model


@pytest.mark.parametrize("name", NAMES)
def test_the_radii_in_force_are_the_published_ones(name):
    expected = RADII[max((start for start in RADII if name.startswith(start)), key=len)]
    for method, chosen in understood(name)[1].items():
        layers = radii.in_force(unlabelled(method), chosen.methods)
        used = [layer for layer in layers if layer.value is not None]
        assert {layer.value for layer in used} <= {expected[method]}, method
        assert bool(used) == (expected[method] is not None)
        assert all(layer.idle is None for layer in used), method
    assert published.radii_of(name).keys() == expected.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_network_has_the_published_number_of_parameters(name):
    with torch.device("meta"):
        model = task(understood(name)[0]).build()
    count = sum(p.numel() for p in model.parameters())
    stated = published.read(name)["published"].get("parameters")
    assert stated == PARAMETERS.get(name) == (count if stated else None)


def test_the_network_of_aace_starts_at_zero_logits():
    build = task(understood("aace-cifar10-wrn28-10")[0]).build
    with torch.device("meta"):
        assert build().head.out_features == 10
    settings = task(understood("aace-cifar10-wrn28-10")[0]).model_settings
    assert settings["zero_head"] is True


@pytest.mark.parametrize(
    ("name", "method", "key", "value"),
    [
        ("understanding-sam-cifar10-resnet18", "sam", "milestones", (0.5, 0.75)),
        ("understanding-sam-cifar10-resnet18", "sam", "gamma", 0.1),
        ("asam-cifar10", "asam", "schedule", "CosineAnnealingLR"),
        ("asam-cifar100", "asam", "epochs", 200),
        ("fam-fashion-mnist-wrn28-10", "sgd", "milestones", (0.3, 0.6, 0.8)),
        ("fam-fashion-mnist-wrn28-10", "fam", "milestones", (0.4, 0.6, 0.8)),
        ("fam-svhn-wrn28-10", "fam", "nesterov", True),
    ],
)
def test_what_the_scripts_say(name, method, key, value):
    assert getattr(understood(name)[1][method].training, key) == value


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("lookbehind")])
def test_lookbehind_is_that_of_the_readme(name):
    chosen = understood(name)[1]["lookbehind+asam"].methods
    assert chosen["lookbehind"] == {"k": 2, "alpha": "adaptive", "scope": "tensor"}
    assert chosen["asam"]["eta"] == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_a_source_and_what_is_open_is_said(name):
    text = (files(published) / f"{name}.toml").read_text()
    body = text.partition("\n[")[2].partition("\n[")[2]
    for line in body.splitlines():
        assert " = " not in line or "  # " in line, line
    about = published.read(name)["published"]
    assert about["open"] and isinstance(about["differs"], list)
    assert about["source"] and set("+".join(about["methods"]).split("+")) <= set(METHODS)


def test_they_are_installed_with_the_package():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '"tasks/published/*.toml"' in project and '"landscape.tasks.published"' in project


def test_arguments_of_a_factory_that_is_not_named_are_refused():
    for kind in ("model", "data"):
        with pytest.raises(ValueError, match=f"`--{kind}-args` has no effect without --{kind}"):
            user_code.task(
                "digits",
                **dict.fromkeys(("model", "data", "loss", "model_args", "data_args"))
                | {f"{kind}_args": ["classes=3"]},
            )


def paper_pages():
    """The script beside the documentation that writes the sections of published settings."""
    path = Path(__file__).parents[2] / "docs" / "paper_pages.py"
    spec = importlib.util.spec_from_file_location("paper_pages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_of_papers_have_every_file_with_its_command_and_what_is_open():
    pages = paper_pages()
    texts = {page.stem: page.read_text(encoding="utf-8") for page in pages.pages()}
    for page in pages.pages():
        assert texts[page.stem] == pages.text(page), "python docs/paper_pages.py"
    whole = "\n".join(texts.values())
    for name in NAMES:
        about = published.read(name)["published"]
        assert whole.count(f"### {name}\n") == 1 and published.command(name) in whole
        assert all(item in whole for item in (*about["open"], *about["differs"]))
    index = (pages.PAPERS / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.md)" in index for name in texts)
