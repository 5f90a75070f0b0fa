"""Inputs that are wrong, damaged or meant to do harm: one clear line, exit 2, no side effect.

The list is the contract; what belongs to one part is tested in more detail beside it.
"""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from landscape.tasks.registry import TASKS

MINE = """
import torch
from torch import nn

def net():
    return nn.Linear(4, 3)

class Dict(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return {"scores": self.layer(x)}

def data(n=40, shift=0):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, generator=g)
    y = x[:, :3].argmax(1) + shift
    return {"train": (x, y), "test": (x, y)}

def negative():
    return data(shift=-9)

def narrow():
    return {part: (x[:, :3], y) for part, (x, y) in data().items()}

def below():
    return {part: (x, -1 - y) for part, (x, y) in data().items()}

def broken(model, batch):
    return model.head(batch.x)

def vector(model, batch):
    return nn.functional.cross_entropy(model(batch.x), batch.y, reduction="none")
"""
GIVEN = {"--model": "given.py:net", "--data": "given.py:data"}
AUDIT = ("audit", "model.pt")
TRAIN = ("train", "--method", "sgd", "--device", "cpu", "--epochs", "1", "--out", "made")


class Bomb:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The folder that the command runs in, with the user's code and a checkpoint."""
    monkeypatch.setattr("landscape.tasks.registry.TASKS", dict(TASKS))
    (tmp_path / "given.py").write_text(MINE)
    torch.save(nn.Linear(4, 3).state_dict(), tmp_path / "model.pt")
    return tmp_path


@pytest.fixture
def untouched(mine, refused):
    """Refused in one line, with all files as before; python's own caches do not count."""

    def files():
        return {p: p.stat().st_mtime_ns for p in mine.rglob("*") if "__pycache__" not in p.parts}

    def run_it(*arguments, **options):
        given = {**GIVEN, **{f"--{name}": value for name, value in options.items()}}
        before = files()
        (line,) = refused(*arguments, *(word for pair in given.items() for word in pair))
        assert files() == before
        return line

    return run_it


BAD = {
    "a pickle that would run a command": (
        lambda p: p.write_bytes(pickle.dumps(Bomb())), "more than weights",
    ),
    "the same inside a checkpoint": (
        lambda p: torch.save({"state_dict": Bomb()}, p), "more than weights",
    ),
    "0 bytes": (lambda p: p.write_bytes(b""), "is empty, 0 bytes"),
    "half a file": (lambda p: p.write_bytes(p.read_bytes()[:300]), "damaged"),
    "NaN weights": (
        lambda p: torch.save({"weight": torch.full((3, 4), torch.nan), "bias": torch.zeros(3)}, p),
        "NaN or infinite weights: 12 of 12 in weight",
    ),
    "another architecture": (
        lambda p: torch.save({"weight": torch.ones(3, 5)}, p), "another architecture",
    ),
    "an archive with ../": (lambda p: archive(p), "damaged or no checkpoint"),
}  # fmt: skip


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../ran", "x")


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", ["audit", "info"])
def test_checkpoints(kind, command, mine, untouched, refused):
    make, message = BAD[kind]
    make(mine / "model.pt")
    if command == "audit":
        line = untouched(*AUDIT)
    elif "NaN" in kind or "another" in kind:
        return  # info only says what there is
    else:
        (line,) = refused("info", "model.pt")
    assert message in line and "model.pt" in line
    assert not (mine / "ran").exists() and not (mine.parent / "ran").exists()


MODELS_AND_DATA = {
    "a model that returns a dict": ({"model": "given.py:Dict"}, "give a --loss"),
    "a loss that returns a vector": ({"loss": "given.py:vector"}, "of shape ()"),
    "labels out of range": ({"data-args": "shift=1"}, "targets must be in [0, 3)"),
    "an empty data set": ({"data-args": "n=0"}, "no examples"),
    "examples of another shape": (
        {"data": "given.py:narrow"}, "given.py:net, given.py:narrow failed together: RuntimeError"
    ),
    "a loss with a bug": ({"loss": "given.py:broken"}, "has no attribute 'head'"),
    "labels below zero alone": ({"data": "given.py:below"}, ("zero, which means", "must lie in")),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS_AND_DATA)
@pytest.mark.parametrize("command", ["audit", "train", "dry run"])
def test_models_and_data(case, command, mine, untouched):
    options, message = MODELS_AND_DATA[case]
    if options.get("model") == "given.py:Dict":
        torch.save(
            {"layer.weight": torch.ones(3, 4), "layer.bias": torch.ones(3)}, mine / "model.pt"
        )
    chosen = {"audit": AUDIT, "train": TRAIN, "dry run": (*TRAIN, "--dry-run", "--quiet")}[command]
    line = untouched(*chosen, **options)
    assert any(part in line for part in ([message] if isinstance(message, str) else message))


def test_labels_below_zero_to_train_on(untouched):
    """Of an audit they are labels to leave out."""
    assert "must lie in [0, " in untouched(*TRAIN, data="given.py:negative")


def test_one_example_is_enough_for_an_audit_and_for_training(mine, landscape):
    given = ("--model", "given.py:net", "--data", "given.py:data", "--data-args", "n=1")
    assert landscape(*AUDIT, *given, "--require", "loss < 99").code == 0
    done = landscape(*TRAIN, *given)
    assert (done.code, done.last_line) == (0, "made")


def test_names_with_html_in_them(mine, landscape):
    """In a table's columns and labels, and in a file's own name: they reach the page as text."""
    tag, name = "<script>alert(1)</script>", "<img src=q onerror=alert(1)>"
    rows = "".join(f"{i % 7},{i % 3},{tag if i % 2 else 'y'}\n" for i in range(40))
    for part in ("train", "test"):
        (mine / f"{part}.csv").write_text(f"{tag},b,label\n{rows}")
    (mine / "given.py").write_text(f"{MINE}\ndef two():\n    return nn.Linear(2, 2)\n")
    torch.save(nn.Linear(2, 2).state_dict(), mine / f"{name}.pt")
    done = landscape(
        "audit", f"{name}.pt", "--model", "given.py:two", "--data", "csv", "--data-dir", ".",
        "--require", "loss < 99", "--out", "out",
    )  # fmt: skip
    assert done.code == 0, done.err
    page = (mine / "out" / "audit.html").read_text()
    assert tag not in page and name not in page
    assert "&lt;img src=q" in page
    junit = (mine / "out" / "junit.xml").read_text()
    assert name not in junit


def test_an_array_file_with_objects(mine, refused):
    """numpy would unpickle them."""
    for part in ("train", "test"):
        np.savez(mine / f"{part}.npz", x=np.array([Bomb()], dtype=object), y=np.zeros(1, int))
    (line,) = refused(*TRAIN, "--model", "given.py:net", "--data", "npz", "--data-dir", ".")
    assert "train.npz must hold arrays" in line
    assert not (mine / "ran").exists() and not (mine / "made").exists()
