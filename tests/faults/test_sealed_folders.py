"""Studies, measured checkpoints and audits are sealed too, and `info` says what is damaged."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

import landscape as ls
from landscape.description import describe
from landscape.records import load, load_all
from landscape.study.study import Study, compare
from landscape.training.train import train
from landscape.utils import manifest

pytestmark = pytest.mark.slow  # runs the program from end to end

NOISE = {"noise": {"draws": 2, "sigmas": (0.1,)}}
SHORT = {"training": {"epochs": 1, "device": "cpu"}}


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def net():
    return nn.Linear(4, 3)


def data():
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    return {"train": (x, x[:, :3].argmax(1)), "test": (x, x[:, :3].argmax(1))}


@pytest.fixture
def measured(tmp_path):
    """A function that measures a checkpoint in a folder, always the same."""
    torch.manual_seed(0)
    torch.save(net().state_dict(), tmp_path / "model.pt")

    def measure(**options):
        return ls.analyze(
            tmp_path / "model.pt", ["noise", "sharpness"], model=net, data=data,
            options=NOISE, out=tmp_path / "m", **options,
        )  # fmt: skip

    measure()
    return measure


@pytest.mark.parametrize("name", ["records/noise.nc", "manifest.json"])
def test_a_damaged_record_of_a_checkpoint_is_named_and_made_anew(measured, tmp_path, name):
    folder = tmp_path / "m"
    expected = load(folder / "records" / "noise.nc").loss
    damage(folder / name)
    if name == "manifest.json":
        (folder / name).write_text("[]")
    else:
        assert "noise.nc is damaged" in " ".join(describe(folder)["notes"])
        with pytest.warns(UserWarning, match="is left out"):
            assert set(load_all(folder)) == {"sharpness"}
    assert np.array_equal(measured()["noise"].loss, expected)
    assert set(load_all(folder)) == {"noise", "sharpness"}
    assert describe(folder)["files"] == "all match their checksums"


def test_a_folder_of_an_older_version_is_read_and_sealed_when_it_grows(measured, tmp_path):
    folder = tmp_path / "m"
    (folder / "manifest.json").unlink()
    assert set(load_all(folder)) == {"noise", "sharpness"}
    assert describe(folder)["files"].startswith("no checksums")
    measured(force=True)
    assert set(manifest.read(folder)) == {"records/noise.nc", "records/sharpness.nc"}


def test_an_audit_is_sealed(tmp_path):
    torch.save(net().state_dict(), tmp_path / "model.pt")
    call = {"model": net, "data": data, "out": tmp_path / "a"}
    ls.audit(tmp_path / "model.pt", ["loss < 99", "noise.accuracy@0.1 > 0"], **call)
    assert describe(tmp_path / "a")["files"] == "all match their checksums"
    damage(tmp_path / "a" / "records" / "noise.nc")
    assert "noise.nc is damaged" in describe(tmp_path / "a")["files"]
    (tmp_path / "a" / "audit.json").write_text("[]")
    with pytest.raises(ValueError, match=r"audit\.json must hold a JSON object"):
        describe(tmp_path / "a")  # nothing is left to show
    ls.audit(tmp_path / "model.pt", ["loss < 99", "noise.accuracy@0.1 > 0"], **call)
    assert describe(tmp_path / "a")["files"] == "all match their checksums"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    call = {"settings": SHORT, "workers": 1, "measures": ["noise"], "options": NOISE}
    out = tmp_path_factory.mktemp("s") / "s"
    return compare("digits", ["sgd"], 1, out, **call).path, call


@pytest.mark.parametrize("content", [None, "[]", "{}", "null"])
def test_a_damaged_study_is_named_and_made_anew(study, tmp_path, no_figures, content):
    path, call = study
    copy = shutil.copytree(path, tmp_path / "s")
    assert describe(copy)["files"] == "all match their checksums"
    damage(copy / "study.json")
    if content is not None:
        (copy / "study.json").write_text(content)
    for read in (Study, describe):
        with pytest.raises(ValueError, match=r"study\.json is damaged .* The same compare"):
            read(copy)
    plain = json.loads((path / "study.json").read_text())
    again = compare("digits", ["sgd"], 1, copy, **call)
    assert again.plan["cells"] == plain["cells"]
    assert describe(copy)["files"] == "all match their checksums"


def test_info_shows_what_is_left_of_a_study(study, tmp_path):
    copy = shutil.copytree(study[0], tmp_path / "s")
    (weights,) = copy.glob("runs/*/weights.safetensors") or copy.rglob("weights.safetensors")
    damage(weights)
    found = describe(copy)
    assert found["files"] == f"{weights} is damaged" and found["task"] == "digits"
    assert "weights.safetensors is damaged" in " ".join(found["notes"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = train("digits", "sgd", 0, tmp_path_factory.mktemp("r") / "r", settings=SHORT)
    ls.analyze(run, ["noise"], options=NOISE, examples=40)
    return run.path


NAMES = ["settings.json", "environment.json", "status.json", "metrics.jsonl", "manifest.json",
         "weights.safetensors", "records/noise.nc"]  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"3", b"\xff\x00", b"[" * 3000])
def test_info_shows_what_is_left_of_a_run(run, tmp_path, content):
    for name in NAMES:
        copy = shutil.copytree(run, tmp_path / name.replace("/", "-"))
        assert describe(copy)["files"] == "all match their checksums"
        (copy / name).write_bytes(content)
        found = describe(copy)
        said = " ".join([found["files"], *found["notes"]])
        assert found["what"] == "run" and name.partition("/")[2] in said
        assert "damaged" in said or "manifest.json" in said
        assert found["metrics"] or name == "metrics.jsonl"
