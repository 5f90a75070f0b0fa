"""A training that is stopped between any two steps goes on as if nothing had happened."""

import os
import signal

import pytest
import torch

from landscape.training.checkpoint import load_tensors
from landscape.training.run import Run
from landscape.training.train import train

pytestmark = pytest.mark.slow  # runs the program from end to end

SHORT = {"training": {"epochs": 2, "device": "cpu", "momentum": 0.9}, "data": {"batch_size": 128}}
METHODS = ["sgd", "adamw", "lookbehind", "lets+asam", "msam", "fam", "looksam", "gsam+friendly-sam"]


def weights(run):
    return load_tensors(run.path / "weights.safetensors")


def stop_after(steps):
    """A method that asks, by a signal, to stop in the middle of a step."""
    from landscape.training.loop import Training

    plain = Training.step

    def step(self, batch):
        if self.steps + 1 == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, batch)

    return step


@pytest.mark.parametrize("method", METHODS)
def test_stopped_within_an_epoch_it_goes_on_bit_for_bit(method, tmp_path, monkeypatch):
    whole = train("digits", method, 1, tmp_path / "whole", settings=SHORT)
    with monkeypatch.context() as patch:
        patch.setattr("landscape.training.loop.Training.step", stop_after(13))
        with pytest.raises(KeyboardInterrupt):
            train("digits", method, 1, tmp_path / "r", settings=SHORT)
    assert Run(tmp_path / "r").status["state"] == "interrupted"
    resumed = train("digits", method, 1, tmp_path / "r", settings=SHORT, resume=True)
    assert {
        k: torch.equal(v, weights(whole)[k]) for k, v in weights(resumed).items()
    } == dict.fromkeys(weights(whole), True)
    timing = {"seconds", "examples_per_second"}
    for ours, theirs in zip(resumed.metrics, whole.metrics, strict=True):
        assert {k: v for k, v in ours.items() if k not in timing} == pytest.approx(
            {k: v for k, v in theirs.items() if k not in timing}, abs=0, rel=0, nan_ok=True
        )


def test_checkpoints_at_steps_lose_no_more_than_those_steps(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(
        "landscape.training.keeper.Keeper._save",
        lambda self, state: (
            saved.append(self._last["steps"]) or setattr(self, "_saved_step", self._last["steps"])
        ),
    )
    train("digits", "sgd", 0, tmp_path / "r", settings=SHORT, checkpoint_every=4)
    assert saved[:2] == [4, 8]


@pytest.mark.parametrize("every", [0, "0min", "often", "-3", "1.5"])
def test_a_checkpoint_interval_that_is_none_is_refused(every, tmp_path):
    with pytest.raises(ValueError, match=r"a number of steps, as 500, or minutes, as 10min"):
        train("digits", "sgd", 0, tmp_path / "r", settings=SHORT, checkpoint_every=every)


def test_an_error_inside_of_a_step_keeps_the_last_whole_state(tmp_path, monkeypatch):
    whole = train("digits", "sam", 1, tmp_path / "whole", settings=SHORT)
    from landscape.training.loop import Training

    plain = Training.step

    def step(self, batch):
        plain(self, batch)
        if self.steps == 14:
            raise RuntimeError("a broken wire")
        return self.walker.step_loss

    with monkeypatch.context() as patch:
        patch.setattr("landscape.training.loop.Training.step", step)
        with pytest.raises(RuntimeError, match="a broken wire"):
            train("digits", "sam", 1, tmp_path / "r", settings=SHORT)
    resumed = train("digits", "sam", 1, tmp_path / "r", settings=SHORT, resume=True)
    assert all(torch.equal(v, weights(whole)[k]) for k, v in weights(resumed).items())
