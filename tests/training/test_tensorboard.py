"""TensorBoard's scalars are the metrics, each step once, also after an interruption."""

import sys

import pytest

from landscape.training import keeper
from landscape.training.loggers.log import Log, tag
from landscape.training.train import train

pytest.importorskip("tensorboard")
SHORT = {"training": {"epochs": 3, "device": "cpu"}}


def scalars(folder):
    """{tag: [(step, value), ...]} of all that TensorBoard would show."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {
        name: [(event.step, event.value) for event in found.Scalars(name)]
        for name in found.Tags()["scalars"]
    }


def test_scalars_are_the_metrics(tmp_path):
    watched = {"training": {**SHORT["training"], "measure_every": 18, "measure_examples": 20}}
    run = train("digits", "sgd", 0, tmp_path / "run", settings=watched, tensorboard=True)
    found, rows = scalars(run.path), run.metrics
    assert found["accuracy/test"] == [
        (row["step"], pytest.approx(row["test_accuracy"])) for row in rows
    ]
    assert "loss/train" in found and "learning_rate" in found and "epoch" not in found
    assert [step for step, _ in found["sharpness/lambda_max"]] == [0, 18, 36, 54]


def test_an_interrupted_run_goes_on_without_a_step_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "EPOCH_SECONDS", 1e9)

    def stop(message):
        if message.note and message.done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, tensorboard=True, progress=stop)
    beyond = Log(["tensorboard"], tmp_path / "run", {})  # the checkpoint
    beyond.grow([{"step": 999.0, "test_loss": 1.0}])
    beyond.close()
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, tensorboard=True, resume=True)
    assert [step for step, _ in scalars(run.path)["loss/test"]] == [0, 18, 36, 54]
    run.verify()


def test_a_run_that_has_ended_gets_its_scalars_and_is_not_trained(tmp_path):
    run = train("digits", "sgd", 0, tmp_path / "run", settings=SHORT)
    assert not (run.path / "tensorboard").exists()
    before = (run.path / "weights.safetensors").stat().st_mtime_ns
    train("digits", "sgd", 0, run.path, settings=SHORT, tensorboard=True)
    assert len(scalars(run.path)["loss/train"]) == 4
    assert (run.path / "weights.safetensors").stat().st_mtime_ns == before


def test_what_is_not_finite_is_left_out(tmp_path):
    rows = [{"step": 1.0, "a": float("nan"), "b": 2.0}, {"step": 2.0, "a": 3.0}]
    log = Log(["tensorboard"], tmp_path, {})
    log.grow(rows)
    log.close()
    assert scalars(tmp_path) == {"a": [(2, 3.0)], "b": [(1, 2.0)]}


def test_without_tensorboard_nothing_is_trained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ValueError, match=r"tensorboard .*pip install 'landscape\[track\]'"):
        train("digits", "sgd", 0, tmp_path / "run", settings=SHORT, tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_tags():
    assert tag("held_out_loss") == "loss/held_out"
    assert tag("loss") == "loss" and tag("grad_evals") == "grad_evals"
