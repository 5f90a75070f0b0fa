"""Each paper's experiment runs from its published file, at a small size, by its own command."""

import json
import shlex

import pytest
import torch
from torch import nn

from landscape.data import DATA, DataSet
from landscape.models import MODELS
from landscape.tasks import published
from landscape_cli.main import run

SMALL = (
    "--epochs 1 --seeds 1 --set data.batch_size=16 --measures eigenvalues --set eigenvalues.k=1 "
    "--examples 16 --workers 1 --out study --quiet"
)


def net(classes=10, channels=3, neck=8, **ignored):
    """Any network: a convolution, batch norm, two linear layers."""
    layers = (nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    pooled = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, neck), nn.Linear(neck, classes))
    return nn.Sequential(*layers, *pooled)


def images(channels, classes):
    """Any data set: 32 images of noise to train on and 16 to test."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(48, channels, 8, 8, generator=g), torch.arange(48) % classes
    return DataSet("noise", x[:32], y[:32], x[32:], y[32:], classes)


@pytest.mark.slow
@pytest.mark.parametrize("name", published.names())
def test_the_experiment_runs_at_small_size(name, tmp_path, monkeypatch, no_figures):
    """The published command with a tiny network in the place of each, on noise, for one epoch."""
    monkeypatch.chdir(tmp_path)
    MODELS.update(dict.fromkeys(MODELS, net))  # the registries fixture puts them back
    for data, channels, classes in (
        ("cifar10", 3, 10), ("cifar100", 3, 100), ("svhn", 3, 10), ("fashion-mnist", 1, 10),
    ):  # fmt: skip
        DATA[data] = lambda _, c=channels, k=classes: images(c, k)
    tree = published.read(name)
    own = {method: values.get("training", {}) for method, values in tree.items()}
    shorter = [f"--set {method}.training.epochs=1" for method, t in own.items() if "epochs" in t]
    _, *arguments = shlex.split(f"{published.command(name)} {SMALL} {' '.join(shorter)}")
    with pytest.raises(SystemExit) as end:
        run(arguments)
    assert end.value.code == 0
    plan = json.loads((tmp_path / "study" / "study.json").read_text())
    assert plan["methods"] == tree["published"]["methods"]
    for method, _, folder in plan["cells"]:
        status = json.loads((tmp_path / "study" / folder / "status.json").read_text())
        assert status == {"state": "finished", "epoch": 1}, method
