"""A run's folder: complete, checked, resumable, and never overwritten by other settings."""

import json
import os

import pytest
import torch

from landscape.training.checkpoint import load_tensors
from landscape.training.run import Run
from landscape.training.train import train

SHORT = {"training": {"epochs": 2, "device": "cpu"}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "r"
    return train("digits", "sam", 1, out, settings={**SHORT, "sam": {"rho": 0.1}})


def copy(run, target):
    import shutil

    shutil.copytree(run.path, target)
    return target


def test_the_folder_holds_settings_environment_metrics_weights_and_sums(finished):
    names = {p.name for p in finished.path.iterdir()}
    assert names == {
        *("settings.json", "environment.json", "status.json", "manifest.json"),
        *("metrics.jsonl", "metrics.csv", "weights.safetensors"),
    }
    run = Run.open(finished.path)
    assert run.status == {"state": "finished", "epoch": 2}
    assert run.settings.methods == {"sam": {"rho": 0.1}}
    assert [row["epoch"] for row in run.metrics] == [0, 1, 2]
    assert run.metrics[-1]["grad_evals"] == 72
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["torch"] and environment["threads"] and environment["data_fingerprint"]


def test_the_model_of_a_run_scores_what_its_metrics_say(finished):
    objective = finished.objective("test", examples=10**6, device="cpu")
    assert objective.accuracy() == pytest.approx(finished.metrics[-1]["test_accuracy"], abs=1e-12)
    assert objective.examples == 500


def test_a_finished_run_is_not_trained_again(finished):
    before = (finished.path / "weights.safetensors").stat().st_mtime_ns
    again = train("digits", "sam", 1, finished.path, settings={**SHORT, "sam": {"rho": 0.1}})
    assert again.metrics == finished.metrics
    assert (finished.path / "weights.safetensors").stat().st_mtime_ns == before


def test_other_settings_in_the_same_folder_are_refused(finished):
    with pytest.raises(
        ValueError, match=r"methods.sam.rho was 0.1, now 0.2\). Choose another --out"
    ):
        train("digits", "sam", 1, finished.path, settings={**SHORT, "sam": {"rho": 0.2}})


def test_interrupted_and_resumed_is_the_same_bit_for_bit(finished, tmp_path):
    settings = {**SHORT, "sam": {"rho": 0.1}}

    def stop(message):
        if message.done >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("digits", "sam", 1, tmp_path / "r", settings=settings, progress=stop)
    assert Run(tmp_path / "r").status == {"state": "interrupted", "epoch": 1}
    with pytest.raises(ValueError, match="has not finished"):
        Run.open(tmp_path / "r")
    with pytest.raises(ValueError, match="Add --resume"):
        train("digits", "sam", 1, tmp_path / "r", settings=settings)
    run = train("digits", "sam", 1, tmp_path / "r", settings=settings, resume=True)
    ours, theirs = (load_tensors(r.path / "weights.safetensors") for r in (run, finished))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not (run.path / "checkpoint.pt").exists()


def test_snapshots_along_the_way(tmp_path):
    settings = {"training": {"epochs": 4, "snapshots": 2, "device": "cpu"}}
    run = train("digits", "sgd", 0, tmp_path / "r", settings=settings)
    names = sorted(p.name for p in (run.path / "snapshots").iterdir())
    assert names == ["epoch-0002.safetensors", "epoch-0004.safetensors"]
    last, final = (
        load_tensors(run.path / n) for n in (f"snapshots/{names[1]}", "weights.safetensors")
    )
    assert all(torch.equal(last[k], final[k]) for k in final)


def test_a_diverged_run_says_so_and_keeps_finite_weights(tmp_path):
    settings = {"training": {"epochs": 2, "lr": 1e4, "momentum": 0.99, "device": "cpu"}}
    run = train("digits", "sgd", 0, tmp_path / "r", settings=settings)
    assert run.status["state"] == "diverged"
    weights = load_tensors(run.path / "weights.safetensors")
    assert all(t.isfinite().all() for t in weights.values())
    assert Run.open(run.path).metrics


@pytest.mark.parametrize("name", ["weights.safetensors", "metrics.jsonl", "settings.json"])
def test_a_flipped_bit_is_found(finished, tmp_path, name):
    path = copy(finished, tmp_path / "r")
    data = bytearray((path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (path / name).write_bytes(bytes(data))
    with pytest.raises(ValueError, match=f"{name} .*(damaged|is not)"):
        Run.open(path)


def test_a_truncated_and_a_missing_file_are_found(finished, tmp_path):
    path = copy(finished, tmp_path / "r")
    data = (path / "weights.safetensors").read_bytes()
    (path / "weights.safetensors").write_bytes(data[:-5])
    with pytest.raises(ValueError, match="checksum differs"):
        Run.open(path)
    (path / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match="is missing"):
        Run.open(path)


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run: it has no settings\.json"):
        Run.open(tmp_path)


def test_a_checkpoint_of_another_architecture_names_the_tensors(finished, tmp_path):
    path = copy(finished, tmp_path / "r")
    settings = json.loads((path / "settings.json").read_text())
    settings["task"] = "digits-cnn"
    (path / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"of another architecture\. \d+ missing: conv1\.weight"):
        Run(path).model()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_write_permission_is_an_os_error(tmp_path):
    (tmp_path / "r").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        train("digits", "sgd", 0, tmp_path / "r" / "x", settings=SHORT)


def test_noisy_labels_are_trained_on_and_measured_on_and_test_labels_stay(tmp_path):
    """Half of all labels wrong: the training accuracy is near a half at best, that of the same
    weights on the true labels is not; a measure sees the labels of the training.
    """
    settings = {"training": {"epochs": 8, "device": "cpu"}, "data": {"label_noise": 0.5}}
    run = train("digits", "sgd", 0, tmp_path / "r", settings=settings)
    last = Run.open(run.path).metrics[-1]
    assert run.settings.data.label_noise == 0.5
    assert last["train_accuracy"] < 0.75 and last["held_out_accuracy"] < 0.6
    assert last["test_accuracy"] > 0.7
    assert last["noisy_test_loss"] > last["test_loss"] + 0.3
    measured = run.objective("train", examples=10**6, device="cpu")
    assert measured.accuracy() == pytest.approx(last["train_accuracy"], abs=1e-12)
    assert run.objective("test", examples=10**6, device="cpu").accuracy() == pytest.approx(
        last["test_accuracy"], abs=1e-12
    )
