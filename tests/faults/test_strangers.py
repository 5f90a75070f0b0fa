"""A stranger's folder runs no code, reaches no file outside of itself, and replaces nothing."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from torch import nn

from landscape.models import MODELS
from landscape.plots import PLOTS
from landscape.plots.drawing.output import rendered as drawn
from landscape.records import CurvesRecord, axes_of
from landscape.study.study import Study, compare
from landscape.tasks import imports, recorded, registration, registry
from landscape.training.run import Run
from landscape.training.train import train
from landscape.utils import files, lock, manifest
from landscape.utils.network import offline

LANDSCAPE = Path(sys.executable).with_name("landscape")
SHORT = {"training": {"epochs": 1, "device": "cpu"}, "data": {"batch_size": 512}}
# Modules of packages and of Python itself that a command or one of its workers imports.
BAIT = ("rich", "torch", "numpy", "yaml", "json", "multiprocessing", "sitecustomize", "timm")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train("digits", "sgd", 0, tmp_path_factory.mktemp("s") / "r", settings=SHORT).path


@pytest.fixture
def stranger(trained, tmp_path):
    """A run's folder after a stranger's hand on settings.json, sealed again."""

    def make(**changes):
        folder = shutil.copytree(trained, tmp_path / "stranger")
        settings = json.loads((folder / "settings.json").read_text())
        files.write_json(folder / "settings.json", settings | changes)
        manifest.seal(folder, [folder / "settings.json"])
        return folder

    return make


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.delenv("LANDSCAPE_DOWNLOAD", raising=False)
    monkeypatch.setattr(imports, "_allowed", set())
    monkeypatch.setattr(recorded, "_trusted", set())


def baited(folder):
    """Put modules into a folder that leave a mark when they are imported."""
    folder.mkdir(exist_ok=True)
    for name in BAIT:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'a').write({name!r})\n")
    return folder


def command(folder, *words):
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        [LANDSCAPE, *words], cwd=folder, capture_output=True, text=True, env=plain
    )


@pytest.mark.slow
def test_modules_in_the_present_folder_are_not_imported(tmp_path):
    folder = baited(tmp_path / "here")
    done = command(folder, "train", "--task", "digits", "--method", "sgd", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not (folder / "ran").exists()


@pytest.mark.slow
def test_nor_by_the_workers_of_a_study(tmp_path):
    folder = baited(tmp_path / "here")
    words = "compare --task digits --methods sgd,adamw --seeds 1 --epochs 1 --measures noise"
    done = command(folder, *words.split(), "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert not (folder / "ran").exists()


@pytest.mark.slow
def test_a_module_that_is_named_comes_after_the_packages(tmp_path):
    folder = baited(tmp_path / "here")
    (folder / "mine.py").write_text(
        "from torch import nn\n\ndef net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    words = "--task digits --model mine:net --method sgd --dry-run"
    done = command(folder, "train", *words.split())
    assert done.returncode == 0, done.stderr
    assert not (folder / "ran").exists()


def test_the_folder_of_a_named_module_is_last(tmp_path, monkeypatch):
    (tmp_path / "named_module.py").write_text("VALUE = 3\n")
    (tmp_path / "fractions.py").write_text("Fraction = 'stranger'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.delitem(sys.modules, "fractions", raising=False)
    imports.allow(["named_module:VALUE", "fractions:Fraction"])
    assert imports.imported("named_module:VALUE") == 3
    assert sys.path[-1] == str(tmp_path)
    assert isinstance(imports.imported("fractions:Fraction"), type)


TASK = {"name": "theirs", "summary": "", "model": "mlp", "data": "digits"}
LIBRARY = {
    "checkpoint_path": "/etc/passwd",
    "pretrained": True,
    "weights_backbone": "DEFAULT",
    "pretrained_cfg": {"file": "/etc/passwd"},
    "features_only": True,
    "name": "hf-hub:stranger/model",
    "cache_dir": "/tmp/x",
    "img_size": "/etc/passwd",
}


@pytest.mark.parametrize("key", LIBRARY)
@pytest.mark.parametrize("library", ["timm", "torchvision", "transformers"])
def test_a_library_with_settings_that_open_files_needs_trust(stranger, monkeypatch, library, key):
    def refuse(**settings):
        raise AssertionError("it was called")

    task = {**TASK, "model": library, "model_settings": {key: LIBRARY[key]}}
    run = Run(stranger(task="theirs", own={"task": task}))
    monkeypatch.setitem(MODELS, library, refuse)
    with pytest.raises(ValueError, match=rf"{library} with {key}=.*Pass --trust"):
        _ = run.task
    recorded.trust(run.settings.own)
    with pytest.raises(AssertionError, match="it was called"):
        run.task.build()


def test_a_library_with_a_plain_name_and_sizes_needs_none(stranger):
    sizes = {"name": "vit_tiny_patch16_224", "img_size": 32, "depths": [2, 2], "drop_rate": 0.1}
    task = {**TASK, "model": "timm", "model_settings": sizes}
    assert Run(stranger(task="theirs", own={"task": task})).task.model_settings == sizes


def test_what_the_user_has_named_in_this_process_needs_none(stranger, monkeypatch):
    for names in (registry.TASKS, registration._tasks):
        monkeypatch.setitem(names, "theirs", None)
    task = {**TASK, "model": "timm", "model_settings": {"checkpoint_path": "mine.pt"}}
    registration.register(registration.UserCode(task=task))
    run = Run(stranger(task="theirs", own={"task": dict(registration._tasks["theirs"])}))
    assert run.task.model == "timm"
    task["model_settings"] = {"checkpoint_path": "theirs.pt"}
    with pytest.raises(ValueError, match="Pass --trust"):
        recorded.task_of("theirs", {"task": task})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"own": {"task": {**TASK, "name": "digits"}}}, "digits another meaning.*built in"),
        ({"own": {"task": {**TASK, "name": "Digits"}}}, "digits another meaning.*built in"),
        ({"own": {"methods": {"sam": "evil.py:Sam"}}}, "sam another meaning.*built in"),
        ({"own": {"methods": {"SGD": "evil.py:Sam"}}}, "sgd another meaning.*built in"),
        ({"own": {"methods": {"../x": "evil.py:X"}}, "method": "../x"}, "no name of a method"),
        ({"own": {"methods": {"x": "evil.py:X"}}, "method": "../x"}, "not known"),
        ({"own": {"methods": {"x": "evil.py:X"}}, "method": "x@../../y"}, "label|not known"),
        ({"task": "../../etc/x"}, "no plain name"),
        ({"task": "\x1b[31mred"}, "no plain name"),
        ({"task": "theirs", "own": {"task": {**TASK, "name": "other"}}}, "but records 'other'"),
        ({"own": {"task": [1]}}, "not a run's settings"),
    ],
)
def test_a_folder_renames_and_replaces_nothing(stranger, settings, message):
    with pytest.raises(ValueError, match=message) as error:
        Run(stranger(**settings))
    assert "\n" not in str(error.value)


def test_reading_a_run_registers_nothing(stranger):
    before = dict(registry.TASKS)
    run = Run(stranger(task="theirs", own={"task": TASK, "methods": {"x": "evil.py:X"}}))
    assert run.task.name == "theirs"
    assert before == registry.TASKS


def test_a_matplotlibrc_changes_no_figure(tmp_path, monkeypatch):
    record = CurvesRecord(**{name: np.arange(3.0) for name in axes_of(CurvesRecord)})
    plain = drawn(PLOTS["curves"]({"sgd": record}), "svg")
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 40\n")
    monkeypatch.chdir(tmp_path)
    with matplotlib.rc_context(fname=matplotlib.matplotlib_fname()):
        assert matplotlib.rcParams["text.usetex"]
        assert drawn(PLOTS["curves"]({"sgd": record}), "svg") == plain
        assert matplotlib.rcParams["font.size"] == 40


def test_a_study_is_not_written_through_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "runs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leads out of"):
        compare("digits", ["sgd"], 1, tmp_path / "s", settings=SHORT, workers=1, measures=[])
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["model", "data"])
def test_names_that_are_not_built_in_are_refused(stranger, name):
    run = Run(stranger(task="theirs", own={"task": {**TASK, name: "unheard-of"}}))
    with pytest.raises(ValueError, match="'unheard-of', which is not built in"):
        _ = run.task


@pytest.mark.parametrize("name", ["records", "weights.safetensors", "snapshots", ".lock"])
def test_links_out_of_a_run_are_refused(stranger, tmp_path, name):
    folder = stranger()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path)
    with pytest.raises(ValueError, match=f"{name} is a link that leads out of"):
        Run(folder)


def test_links_within_a_run_are_not(stranger):
    folder = stranger()
    (folder / "copy.csv").symlink_to("metrics.csv")
    Run.open(folder)


def test_a_lock_that_is_a_link_empties_no_file(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / lock.NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError), lock.one_writer(tmp_path / "r"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


PLAN = {
    "task": "digits", "methods": ["sgd"], "seeds": [0], "budget": "epochs", "settings": {},
    "command": "", "examples": 1000, "batch_norm": "stored", "failed": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cells": [["sgd", 0, "../r"]]}, "not inside of it"),
        ({"cells": [["sgd", 0, "/etc"]]}, "not inside of it"),
        ({"cells": [["sgd", 0, "runs/../../r"]]}, "not inside of it"),
        ({"cells": [["sam", 0, "runs/r"]]}, "is not sam, seed 0, of the study"),
        ({"methods": ["../x"]}, "no plain name"),
        ({"task": "a/b"}, "no plain name"),
    ],
)
def test_a_study_stays_in_its_folder(trained, tmp_path, change, message):
    study = tmp_path / "study"
    shutil.copytree(trained, study / "runs" / "r")
    files.write_json(study / "study.json", {**PLAN, "cells": [["sgd", 0, "runs/r"]], **change})
    with pytest.raises(ValueError, match=message):
        Study(study)


def test_links_out_of_a_study_are_refused(trained, tmp_path):
    files.write_json(tmp_path / "s" / "study.json", {**PLAN, "cells": [["sgd", 0, "r"]]})
    (tmp_path / "s" / "r").symlink_to(trained)
    with pytest.raises(ValueError, match="leads out of"):
        Study(tmp_path / "s")


def test_a_recorded_data_folder_must_hold_the_same_data(stranger, tmp_path, monkeypatch):
    folder = stranger()
    environment = json.loads((folder / "environment.json").read_text())
    changed = {"data_dir": "/home", "data_fingerprint": "another"}
    files.write_json(folder / "environment.json", environment | changed)
    with pytest.raises(ValueError, match=r"/home.* holds other data. Name the right folder"):
        Run(folder).objective("test")
    Run(folder).objective("test", data_dir=tmp_path)


def reaching(**_):
    socket.create_connection(("localhost", 9))


def wrapping(**_):
    try:
        reaching()
    except OSError as error:
        raise RuntimeError("could not load") from error


@pytest.mark.parametrize("call", [reaching, wrapping])
def test_a_library_reaches_no_network(monkeypatch, call):
    fake = SimpleNamespace(create_model=lambda *_, **__: call())
    monkeypatch.setitem(sys.modules, "timm", fake)
    with pytest.raises(ValueError, match=r"^timm: it reaches for the network.*--download"):
        MODELS["timm"](name="hf-hub:x/y")


def test_an_address_is_no_way_around():
    with socket.socket() as end, pytest.raises(ValueError, match="x: it reaches"), offline("x"):
        end.connect(("127.0.0.1", 9))


def test_the_network_is_back_afterwards(monkeypatch):
    before = socket.getaddrinfo, socket.socket.connect, dict(os.environ)
    with offline("x"):
        assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert before == (socket.getaddrinfo, socket.socket.connect, dict(os.environ))
    monkeypatch.setenv("LANDSCAPE_DOWNLOAD", "1")
    with offline("x"):
        assert socket.getaddrinfo is before[0]


def test_a_backbone_of_torchvision_gets_no_weights(monkeypatch):
    asked = []

    def builder(*, weights=None, num_classes=None, weights_backbone="IMAGENET1K_V1"):
        asked.append(weights_backbone)
        return nn.Linear(1, 1)

    fake = SimpleNamespace(
        get_model_builder=lambda name: builder, get_model=lambda name, **own: builder(**own)
    )
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torchvision.models", fake)
    MODELS["torchvision"](name="fcos_resnet50_fpn")
    assert asked == [None]
