"""Whatever write a kill comes after, the same command goes on and ends with the same numbers."""

import json
import shutil

import numpy as np
import pytest
import torch

from landscape.analysis.analyze import analyze
from landscape.training.checkpoint import load_tensors
from landscape.training.run import Run
from landscape.training.train import train

pytestmark = pytest.mark.slow  # runs the program from end to end

SHORT = {
    "training": {"epochs": 2, "device": "cpu", "measure_every": 20, "measure_examples": 32},
    "data": {"batch_size": 256},
}
CALL = ("digits", "sam", 0)


def test_a_kill_after_any_write_of_a_training(tmp_path, kills):
    folder = tmp_path / "r"
    call = {"settings": SHORT, "resume": True, "checkpoint_every": 3}
    killed = kills(folder, lambda: train(*CALL, folder, **call))
    whole = Run.open(folder)
    assert len(killed) > 12
    for copy in killed:
        run = train(*CALL, copy, **call)
        ours, theirs = (load_tensors(r.path / "weights.safetensors") for r in (run, whole))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs), copy
        rows = (run.path / "sharpness.jsonl").read_text()
        assert rows == (whole.path / "sharpness.jsonl").read_text(), copy
        Run.open(copy)


def test_a_kill_after_any_write_of_an_analysis_that_replaces_a_record(tmp_path, kills):
    folder = tmp_path / "r"
    run = train(*CALL, folder, settings=SHORT)
    ask = {"examples": 64, "options": {"noise": {"draws": 2, "sigmas": (0.1,)}}}
    analyze(run, ["noise"], **ask)
    other = {"examples": 96, "options": ask["options"]}
    killed = kills(folder, lambda: analyze(Run.open(folder), ["noise"], force=True, **other))
    expected = Run.open(folder).records()["noise"].loss
    assert len(killed) == 3  # the draws, the record, its sum
    for copy in killed:
        again = Run.open(copy)
        analyze(again, ["noise"], **other)
        assert np.array_equal(Run.open(copy).records()["noise"].loss, expected)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    run = train(*CALL, tmp_path_factory.mktemp("m") / "r", settings=SHORT)
    analyze(run, ["noise"], examples=64, options={"noise": {"draws": 2, "sigmas": (0.1,)}})
    return run


def test_a_damaged_record_is_left_out_and_made_anew(measured, tmp_path):
    copy = shutil.copytree(measured.path, tmp_path / "r")
    path = copy / "records" / "noise.nc"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    run = Run.open(copy)
    assert "noise" not in run.records()
    analyze(run, ["noise"], examples=64, options={"noise": {"draws": 2, "sigmas": (0.1,)}})
    assert np.array_equal(run.records()["noise"].loss, measured.records()["noise"].loss)


@pytest.mark.parametrize(
    "name",
    ["settings.json", "environment.json", "status.json", "metrics.csv", "weights.safetensors"],
)
def test_every_file_that_decides_a_number_is_in_the_manifest(measured, tmp_path, name):
    copy = shutil.copytree(measured.path, tmp_path / "r")
    text = (copy / name).read_bytes()
    (copy / name).write_bytes(text + b" ")
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        Run.open(copy)


@pytest.mark.parametrize("content", ["{}", "[]", "null", "3", '{"../x": "00"}', '{"a": 1}'])
def test_a_manifest_that_says_nothing_switches_no_check_off(measured, tmp_path, content):
    copy = shutil.copytree(measured.path, tmp_path / "r")
    (copy / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=r"manifest\.json|has not finished"):
        Run.open(copy)


@pytest.mark.parametrize("content", ["[]", "null", "3", "{}", '{"state": 1}', "[" * 3000])
@pytest.mark.parametrize("name", ["status.json", "environment.json", "settings.json"])
def test_json_of_another_shape_is_one_clear_line(measured, tmp_path, name, content):
    copy = shutil.copytree(measured.path, tmp_path / "r")
    (copy / name).write_text(content)
    with pytest.raises(ValueError, match=name) as caught:
        Run.open(copy).records()
    assert len(str(caught.value).splitlines()) == 1


def test_a_flipped_bit_of_a_checkpoint_is_found(tmp_path):
    def stop(message):
        if message.done >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(*CALL, tmp_path / "r", settings=SHORT, progress=stop)
    (path,) = (tmp_path / "r").glob("checkpoint.*")
    whole = path.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(whole), 24):
        data = bytearray(whole)
        data[at] ^= 1 << int(at) % 8
        path.write_bytes(bytes(data))
        with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged"):
            train(*CALL, tmp_path / "r", settings=SHORT, resume=True)
    path.write_bytes(whole)
    train(*CALL, tmp_path / "r", settings=SHORT, resume=True)
    assert json.loads((tmp_path / "r" / "status.json").read_text())["state"] == "finished"
