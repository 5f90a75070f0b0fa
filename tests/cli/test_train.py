"""landscape train: a run, its path, and what it refuses."""

import json

import pytest

from landscape.training.run import Run

TRAIN = ("train", "--task", "digits", "--device", "cpu")


def test_a_run_is_made_and_its_path_is_the_last_line(landscape, tmp_path):
    out = tmp_path / "mine"
    done = landscape(
        *TRAIN, "--method", "sam", "--seed", "3", "--epochs", "1", "--set", "sam.rho=0.2",
        "--snapshots", "1", "--measure-every", "6", "--set", "training.measure_examples=30",
        "--out", out,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.last_line == str(out)
    assert "train: sam, seed 3" in done.out
    run = Run.open(out)
    assert run.settings.seed == 3
    assert run.settings.methods == {"sam": {"rho": 0.2}}
    assert run.settings.training.epochs == 1
    assert len(list(out.glob("snapshots/*.safetensors"))) == 1
    assert run.records()["sharpness_over_training"].step.tolist() == [0, 6, 12, 18]
    drawn = landscape("plot", out, "--kind", "stability")
    assert drawn.last_line == str(out / "figures" / "stability.png")


def test_json_is_all_there_is_on_stdout(landscape, tmp_path):
    done = landscape(*TRAIN, "--method", "sgd", "--epochs", "1", "--json")
    answer = json.loads(done.out)
    assert answer["status"]["state"] == "finished"
    assert Run.open(tmp_path / answer["run"]).settings.method == "sgd"


def test_a_run_that_diverges_says_so(landscape):
    done = landscape(*TRAIN, "--method", "sgd", "--epochs", "1", "--set", "training.lr=1e9")
    assert done.code == 0
    assert done.err == (
        "warning: runs/digits-sgd-seed0 diverged after epoch 0; its last finite weights are kept. "
        "Lower --set sgd.training.lr (it was 1e+09), or the radius, or clip with --set "
        "training.max_grad_norm=1.\n"
    )
    assert done.last_line == "runs/digits-sgd-seed0"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--method", "smam"], "Unknown method 'smam'. Did you mean 'sam'?"),
        (["--method", "sgd+sam"], "'sgd+sam' does not nest"),
        (["--method", "sam", "--set", "sam.rho=-0.1"], "`sam.rho` must be non-negative. Got -0.1."),
        (["--method", "sam", "--set", "sam.roh=1"], "Unknown setting 'sam.roh'. Did you mean"),
        (["--method", "sam", "--epochs", "0"], "`training.epochs` must be at least 1. Got 0."),
        (["--method", "sam", "--config", "published:asam"], "Unknown published settings 'asam'."),
        (["--method", "sam", "--config", "none.toml"], "none.toml: No such file or directory."),
        (["--method", "sam", "--config", "."], ".: Is a directory."),
    ],
)
def test_wrong_input_leaves_nothing_behind(refused, tmp_path, arguments, expected):
    (line,) = refused(*TRAIN, *arguments)
    assert line.startswith(expected)
    assert not list(tmp_path.iterdir())


def test_an_unknown_task_names_the_nearest(refused):
    (line,) = refused("train", "--task", "digit", "--method", "sgd")
    assert line.startswith("Unknown task 'digit'. Did you mean 'digits'?")


def test_a_missing_data_set_says_what_to_put_where(refused, tmp_path):
    (line,) = refused("train", "--task", "fashion-mnist", "--method", "sgd", "--data-dir", tmp_path)
    assert str(tmp_path) in line
    assert "--data-dir" in line


def test_a_broken_file_of_settings_says_where(refused, tmp_path):
    (tmp_path / "run.toml").write_text("[training]\nepochs = = 3\n")
    (line,) = refused(*TRAIN, "--method", "sgd", "--config", "run.toml")
    assert line.startswith("run.toml is not valid TOML")
    assert "line 2" in line


def test_all_that_is_wrong_is_told_at_once(refused, tmp_path):
    (tmp_path / "run.toml").write_text("[training]\nepoch = 3\n[sma]\nrho = 1\n")
    assert len(refused(*TRAIN, "--method", "sam", "--config", "run.toml", "--set", "sam.x=1")) == 3


def test_no_permission_is_one_line(refused, no_write_access):
    (line,) = refused(*TRAIN, "--method", "sgd", "--epochs", "1", "--out", no_write_access / "run")
    assert "Permission denied" in line


def test_the_same_run_again_says_that_nothing_was_done(landscape, trained):
    arguments = (*TRAIN, "--method", "sam", "--epochs", "1", "--out", trained)
    done = landscape(*arguments)
    assert (done.code, done.last_line) == (0, str(trained))
    assert done.err == f"note: {trained} was trained before with these settings.\n"
    assert landscape(*arguments, "--quiet").err == ""


def test_files_that_are_not_the_published_ones_are_warned_of(landscape, tmp_path):
    (tmp_path / "input.txt").write_text("To be, or not to be. " * 200)
    (tmp_path / "small_text_net.py").write_text(
        "from torch import nn\n\ndef net():\n"
        "    return nn.Sequential(nn.Embedding(256, 4), nn.Linear(4, 256))\n"
    )
    done = landscape(
        "train", "--model", "small_text_net.py:net", "--data", "shakespeare", "--data-dir", ".",
        "--method", "sgd", "--epochs", "1", "--device", "cpu", "--out", "r",
    )  # fmt: skip
    assert done.code == 0
    assert done.err.startswith("warning: data: input.txt is not the published file (SHA-256 ")
    assert "note: data: input.txt is not the published file" in landscape("info", "r").out
