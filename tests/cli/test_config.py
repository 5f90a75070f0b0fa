"""A run, a study, an analysis and an audit, each in one file."""

import json
from pathlib import Path

import pytest

from landscape import records
from landscape.training.run import Run

TRAIN = """
task = "Digits"
method = "SAM"
seed = 3
epochs = 1
out = "run"
device = "cpu"
quiet = true

[sam]
rho = 0.2
[data]
batch_size = 200
"""


def test_a_run_is_one_file_and_the_command_line_wins(landscape):
    Path("run.toml").write_text(TRAIN)
    done = landscape("train", "--config", "run.toml", "--seed", "4")
    assert (done.code, done.last_line) == (0, "run")
    settings = Run("run").settings
    assert (settings.task, settings.method, settings.seed) == ("digits", "sam", 4)
    assert (settings.training.epochs, settings.data.batch_size) == (1, 200)
    assert settings.methods == {"sam": {"rho": 0.2}}
    Path("look.toml").write_text(
        'subjects = ["run"]\nmeasures = ["noise", "eigenvalues"]\nexamples = 50\nk = 2\n'
        "[noise]\ndraws = 2\nsigmas = [0.0, 0.1]\n"
    )
    done = landscape("analyze", "--config", "look.toml", "--json")
    assert done.code == 0, done.err
    assert set(json.loads(done.out)["records"]["run"]) == {"noise", "eigenvalues"}
    assert records.load("run/records/noise.nc").loss.shape == (2, 2)
    assert len(records.load("run/records/eigenvalues.nc").values) == 2
    Path("audit.toml").write_text(
        'checkpoint = "run"\nrequire = ["loss < 99", "accuracy >= 0"]\nexamples = 50\n'
    )
    done = landscape("audit", "--config", "audit.toml")
    assert done.code == 0, done.err
    assert len(json.loads(Path("audits/run/audit.json").read_text())["requirements"]) == 2


def test_a_study_is_one_file(landscape, monkeypatch):
    given = {}
    monkeypatch.setattr("landscape.compare", lambda *a, **k: given.update(k, place=a) or 1 / 0)
    Path("study.toml").write_text(
        'task = "digits"\nmethods = ["SGD", "sam"]\nseeds = 2\nmeasures = "eigenvalues"\n'
        'grid = ["sam.rho=.1,.2"]\n[eigenvalues]\nk = 3\n[training]\nepochs = 1\n'
    )
    landscape("compare", "--config", "study.toml", "--set", "eigenvalues.k=1")
    assert given["place"][:3] == ("digits", ["sgd", "sam"], 2)
    assert given["options"] == {"eigenvalues": {"k": 1}}
    assert given["settings"] == {"training": {"epochs": 1}}
    assert given["grid"] == {"sam.rho": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ('methud = "sam"\nsed = 1\n', ["run.toml: Unknown option 'methud'. Did you mean 'method'",
                                       "run.toml: Unknown option 'sed'. Did you mean 'seed'"]),
        ('method = "sam"\ntask = "digits"\nseed = 1.5\n', ["Invalid value for '--seed'"]),
        ('method = "sam"\ntask = "digits"\n[sm]\nrho = 1\n', ["Unknown settings section 'sm'"]),
        ('config = "other.toml"\n', ["run.toml: Unknown option 'config'"]),
    ],
)  # fmt: skip
def test_wrong_entries_are_refused(text, messages, refused):
    Path("run.toml").write_text(text)
    lines = refused("train", "--config", "run.toml")
    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):
        assert line.startswith(message)


def test_keywords_of_a_model_are_a_table(landscape):
    Path("run.toml").write_text(
        'task = "digits"\nmodel = "mlp"\nmethod = "sgd"\nepochs = 1\nout = "r"\n'
        "[model_args]\nhidden = [7]\n[training]\ndevice = 'cpu'\n"
    )
    done = landscape("train", "--config", "run.toml")
    assert done.code == 0, done.err
    assert Run("r").settings.own["task"]["model_settings"] == {"hidden": [7]}


def test_settings_of_measures_of_a_study_must_have_an_effect(refused):
    (line,) = refused(
        "compare", "--task", "digits", "--methods", "sgd", "--measures", "noise",
        "--set", "eigenvalues.k=1",
    )  # fmt: skip
    assert line == "An option of eigenvalues has no effect: the measures are noise."
