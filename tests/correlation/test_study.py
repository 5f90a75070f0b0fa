"""A study of four networks from end to end: stops, goes on, numbers as from the run itself."""

import json

import numpy as np
import pytest
import torch

from landscape.correlation.study import correlate, opened, planned
from landscape.correlation.table import initial, table_of
from landscape.training.run import Run

pytestmark = pytest.mark.slow  # trains and measures

GRID = """
task = "digits"
level = 0.8
[settings.training]
epochs = 20
schedule = "constant"
evaluate_every = 0
device = "cpu"
[axes]
"training.lr" = [0.05, 0.1]
"model.hidden" = [[8], [16]]
[names]
"model.hidden" = "width"
[measures.sharpness]
radii = [0.1]
steps = 1
restarts = 0
[measures.eigenvalues]
k = 1
[measures.noise]
draws = 2
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "grid.toml"
    path.write_text(GRID)
    return path


@pytest.fixture(scope="module")
def study(path, tmp_path_factory):
    return correlate(out=tmp_path_factory.mktemp("study"), config=path, workers=1, command="here")


def test_what_it_writes(study):
    again = opened(study.path)
    tree = json.loads((study.path / "correlate.json").read_text())
    assert tree["task"] == "digits"
    assert tree["seeds"] == [0]
    assert tree["hours"] > 0
    assert tree["command"] == "here"
    assert again.answers.axes == ["learning rate", "width"]
    assert again.answers.targets == ["gap_loss", "gap_error", "test_loss", "noise_intolerance"]
    assert again.networks.settings == {
        "learning rate": ("0.05", "0.05", "0.1", "0.1"), "width": ("8", "16", "8", "16"),
    }  # fmt: skip
    assert not again.answers.left_out


def test_numbers_are_those_of_the_run(study, path):
    plan = planned(None, study.path, config=path)
    run = Run(plan.networks[0].cell.path)
    row = {name: values[0] for name, values in study.networks.numbers.items()}
    last = run.metrics[-1]
    assert row["train_loss"] == last["train_loss"] == pytest.approx(0.8, rel=0.02)
    assert row["gap_loss"] == last["test_loss"] - last["train_loss"]
    assert row["gap_error"] == pytest.approx(last["train_accuracy"] - last["test_accuracy"])
    assert row["lambda_max"] == run.records()["eigenvalues"].values.max()
    assert row["sharpness@0.1"] == run.records()["sharpness"].mean[0]
    model = run.model()
    w = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert row["w_norm"] == pytest.approx(float(w.norm()))
    assert row["parameters"] == w.numel() == 64 * 8 + 8 + 8 * 10 + 10
    from landscape.utils.rng import seed_of, seeded

    with seeded(seed_of(0, "init"), torch.device("cpu")):
        start = run.task.build()
    start = torch.cat([p.detach().flatten() for p in start.parameters()])
    assert torch.equal(initial(run), start)
    assert row["distance"] == pytest.approx(float((w - start).norm()))


def test_what_is_finished_is_not_done_again(study, path):
    before = {p: p.stat().st_mtime_ns for p in study.path.glob("runs/*/weights.safetensors")}
    again = correlate(out=study.path, config=path, workers=1)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert again.answers.about["hours"] >= study.answers.about["hours"]
    for name, values in again.networks.numbers.items():
        np.testing.assert_array_equal(values, study.networks.numbers[name])


def test_a_network_that_fails_does_not_stop_the_others(study, path):
    plan = planned(None, study.path, config=path)
    label = plan.networks[1].cell.label
    table = table_of(plan.grid, plan.networks, {label: "no memory"})
    assert list(table.states) == ["reached", "no memory", "reached", "reached"]
    assert np.isnan(table.numbers["trace"][1])


def test_a_level_out_of_reach_is_told(path, tmp_path):
    text = GRID.replace("level = 0.8", "level = 1e-6").replace("epochs = 20", "epochs = 1")
    (tmp_path / "far.toml").write_text(text)
    with pytest.raises(ValueError, match=r"No network came down .* 1e-06: .*not reached"):
        correlate(out=tmp_path / "s", config=tmp_path / "far.toml", workers=1)


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    """The same grid over two tasks."""
    folder = tmp_path_factory.mktemp("sequence")
    text = GRID.replace('"digits"', '"split-digits"') + "[settings.lifelong]\ntasks = 2\n"
    (folder / "grid.toml").write_text(text)
    return correlate(out=folder / "study", config=folder / "grid.toml", workers=1)


def test_over_a_sequence_the_targets_are_forgetting(sequence):
    again = opened(sequence.path)
    assert again.answers.targets == ["forgetting", "loss_rise"]
    assert again.answers.about["measured_after_task"] == 1
    names = {answer.measure: answer.role for answer in again.answers.answers}
    assert names["forgetting_bound"] == "measure"
    assert names["moved"] == "yardstick"
    text = (sequence.path / "correlate.html").read_text(encoding="utf-8")
    assert "each task stopped at a training loss of 0.8, measured after the first" in text
    assert "Forgetting of the first task" in text
    assert "Gap of the loss" not in text
    for name in ("matrix-forgetting", "forest-loss_rise", "networks-width"):
        assert (sequence.path / "figures" / f"{name}.svg").is_file()
