"""Networks, data, losses and methods of the user's own, trained, compared and analysed."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import landscape.methods
from landscape.tasks import registration, registry

MINE = '''
from dataclasses import dataclass

import torch
from torch import nn


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))


def points(n=90, targets="classes"):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, generator=g)
    y = x[:, :3].argmax(1) if targets == "classes" else x[:, :3] ** 2
    half = 2 * n // 3
    return {"train": (x[:half], y[:half]), "test": (x[half:], y[half:])}


def train_only():
    return points()["train"]


@dataclass(frozen=True)
class Mine:
    """SAM, in one file."""

    rho: float = 0.05

    def step(self, walker, batch):
        g = walker.grad(batch)
        walker.descend(walker.grad(batch, at=walker.w + self.rho * g / g.norm()))


class NoStep:
    pass


def absolute(model, batch):
    return (model(batch.x) - batch.y).abs().mean()
'''
GIVEN = ("--model", "mine.py:net", "--data", "mine.py:points")
SHORT = ("--epochs", "1", "--set", "data.batch_size=16")


REGISTRIES = (registry.TASKS, registration._tasks, registration._methods, landscape.methods.METHODS)


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    """A folder with mine.py; what is registered in the test is forgotten after it."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    kept = [dict(names) for names in REGISTRIES]
    yield tmp_path
    for names, before in zip(REGISTRIES, kept, strict=True):
        names.clear()
        names.update(before)


def test_a_task_and_a_method_of_ones_own(landscape, mine):
    done = landscape(
        "train", *GIVEN, "--method", "mine.py:Mine", "--set", "Mine.rho=0.1", *SHORT, "--out", "r"
    )
    assert done.code == 0
    settings = json.loads((mine / "r" / "settings.json").read_text())
    assert settings["task"] == "mine" and settings["method"] == "Mine"
    assert settings["methods"] == {"Mine": {"rho": 0.1}}
    assert settings["own"]["methods"] == {"Mine": "mine.py:Mine"}


def forget():
    from landscape.tasks import imports

    imports._allowed.clear()
    for names in REGISTRIES:
        for name in ("mine", "Mine"):
            names.pop(name, None)


def test_a_folder_alone_imports_nothing(landscape, refused, mine):
    landscape("train", *GIVEN, "--method", "mine.py:Mine", *SHORT, "--out", "r")
    forget()
    mark = mine / "ran"
    (mine / "mine.py").write_text(f"open({str(mark)!r}, 'w')\n" + MINE)
    (line,) = refused("analyze", "r", "--measures", "noise")
    assert "Pass --trust" in line
    assert landscape("plot", "r", "--kind", "curves").code == 0
    assert not mark.exists()
    assert landscape("analyze", "r", "--measures", "noise", "--trust").code == 0


@pytest.mark.slow
def test_a_study(landscape, mine):
    done = landscape(
        "compare", *GIVEN, "--methods", "sgd,mine.py:Mine", "--seeds", "1", "--workers", "2",
        "--measures", "noise", *SHORT, "--out", "s",
    )  # fmt: skip
    assert done.code == 0
    assert "Mine" in (mine / "s" / "report.html").read_text()
    forget()
    assert landscape("report", "s").code == 0


def test_regression_with_the_usual_and_an_own_loss(landscape, mine):
    more = ("--data-args", "targets=real", "--method", "sgd", "--set", "training.lr=0.01", *SHORT)
    assert landscape("train", *GIVEN, *more, "--out", "a").code == 0
    assert landscape("train", *GIVEN, *more, "--loss", "mine.py:absolute", "--out", "b").code == 0
    rows = [json.loads((mine / run / "metrics.jsonl").read_text().splitlines()[0]) for run in "ab"]
    assert rows[0]["test_accuracy"] is None
    assert rows[0]["test_loss"] != rows[1]["test_loss"]


def test_one_part_of_a_task(landscape, mine):
    (mine / "wide.py").write_text(
        "from torch import nn\n\ndef net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    done = landscape(
        "train", "--task", "digits", "--model", "wide.py:net", "--method", "sgd", "--epochs", "1",
        "--out", "w",
    )  # fmt: skip
    assert done.code == 0
    assert json.loads((mine / "w" / "settings.json").read_text())["task"] == "digits-wide"


def test_data_of_the_hub_only_with_leave(landscape, refused, mine, monkeypatch):
    """`--download` is for this command and those that it starts."""
    part = {"sentence": ["good", "bad"] * 20, "label": [1, 0] * 20}
    rows = type("Rows", (dict,), {"column_names": property(list), "__len__": lambda _: 40})(part)
    asked = []

    def load_dataset(*names):
        asked.append(names)
        return SimpleNamespace(save_to_disk=lambda folder: Path(folder).mkdir(parents=True))

    fake = SimpleNamespace(
        load_dataset=load_dataset, load_from_disk=lambda _: {"train": rows, "test": rows}
    )
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "0")  # and taken back after the test
    (mine / "words.py").write_text(
        "from torch import nn\n\ndef net():\n"
        "    return nn.Sequential(nn.Embedding(99, 2), nn.Flatten(), nn.Linear(128, 2))\n"
    )
    given = ("--model", "words.py:net", "--data", "hugging-face", "--data-args", "name=me/mine")
    train = ("train", *given, "--data-dir", ".", "--method", "sgd", *SHORT, "--out", "r")
    (line,) = refused(*train)
    assert line.endswith("Or let me/mine be downloaded into it: --download.") and not asked
    (line,) = refused(*train, "--download", "--dry-run")
    assert "a dry run fetches nothing" in line and not asked
    assert landscape(*train, "--download").code == 0
    assert asked == [("me/mine",)]
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "0")
    weights = "r/weights.safetensors"
    assert landscape("audit", weights, *given, "--data-dir", ".", "--require", "loss < 9").code == 0
    assert len(asked) == 1


WRONG = {
    ("--method", "sgd", "--model", "mlp", "--model-args", "depth=3"): "mlp does not take these",
    ("--method", "sgd", "--model", "lenet", "--data", "digits"): "lenet, digits failed together",
    ("--method", "sgd", "--data", "digits", "--data-args", "n=3"): "digits does not take these",
    ("--method", "sgd", "--data", "digits", "--data-args", "data_dir=x"): "multiple values for",
    ("--method", "mine.py:NoStep"): "must be a class with step",
    ("--method", "mine.py:net"): "must be a class with step",
    ("--method", "sgd", "--data", "mine.py:train_only"): '{"train": (x, y), "test": (x, y)}',
    ("--method", "sgd", "--model", "mine.py:none"): "Unknown name in mine.py 'none'",
    ("--method", "sgd", "--set", "training.label_smoothing=0.1"): "own --loss",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input(arguments, refused):
    (line,) = refused("train", *GIVEN, *arguments)
    assert WRONG[arguments] in line
