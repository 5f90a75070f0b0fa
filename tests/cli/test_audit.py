"""landscape audit on networks and files that this project has never seen."""

import json
import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from landscape.tasks.registry import TASKS

pytestmark = pytest.mark.slow  # runs the program from end to end

MINE = """
import torch
from torch import nn

def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))

def batches(n=40, classes=3):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(n, 4, generator=g)
    y = x[:, :3].argmax(1)
    return [(x[i:i + 16], y[i:i + 16]) for i in range(0, n, 16)]

def out_of_range():
    return [(x, y + 1) for x, y in batches()]

def one():
    return batches(1)

class Dict(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return {"scores": self.layer(x)}

def vector_loss(model, batch):
    return nn.functional.cross_entropy(model(batch.x), batch.y, reduction="none")

def scores_loss(model, batch):
    return nn.functional.cross_entropy(model(batch.x)["scores"], batch.y)

def nothing():
    return []

def splits():
    return {"train": batches(40), "test": batches(20)}

number = 5
def no_model():
    return number
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with mine.py and model.pt, where the command runs."""
    (tmp_path / "mine.py").write_text(MINE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    return tmp_path


GIVEN = ("--model", "mine.py:net", "--data", "mine.py:batches")
FAST = ("--require", "noise.accuracy@0.05 >= 0")


def test_one_command_from_checkpoint_to_page(landscape, mine):
    done = landscape("audit", "model.pt", *GIVEN, *FAST, "--require", "accuracy >= 0")
    assert done.code == 0
    assert done.last_line == "audits/model/audit.html"
    assert "holds: accuracy >= 0" in done.out
    for name in ("audit.html", "audit.json", "junit.xml"):
        assert (mine / "audits" / "model" / name).stat().st_size > 100


def test_without_requirements_the_numbers(landscape, mine):
    usual = ("eigenvalues.k=2", "noise.draws=2", "worst_case.steps=1", "worst_case.restarts=0")
    options = [part for text in usual for part in ("--set", text)]
    lines = landscape("audit", "model.pt", *GIVEN, *options).out.splitlines()
    numbers = [line.split() for line in lines if "@" in line or line.startswith("accuracy")]
    tree = json.loads((mine / "audits" / "model" / "audit.json").read_text())["measured"]
    assert len(numbers) > 10
    for name, value, *_ in numbers:
        assert float(value) == float(f"{tree[name]['value']:.4g}")
    assert any(line.startswith("worst.loss@2 ") and line.endswith(", inf]") for line in lines)


def test_a_dry_run_measures_nothing_to_the_end(landscape, refused, mine):
    done = landscape("audit", "model.pt", *GIVEN, *FAST, "--dry-run", "--baseline", "model.pt")
    assert done.code == 0
    assert "  noise  2 to do" in done.out.splitlines()
    assert "into audits/model" in done.out
    assert not (mine / "audits").exists()
    (line,) = refused("audit", "none.pt", *GIVEN, "--dry-run")
    assert line == "There is no checkpoint none.pt."


def test_a_dry_run_without_a_measure(landscape, mine):
    """Accuracy is known without one."""
    done = landscape("audit", "model.pt", *GIVEN, "--require", "accuracy >= 0", "--dry-run")
    assert (done.code, done.last_line[:8]) == (0, "Dry run:")


def test_quiet_and_what_info_says(landscape, mine):
    done = landscape("audit", "model.pt", *GIVEN, *FAST, "--quiet")
    assert done.out == "audits/model/audit.html\n"
    text = landscape("info", "audits/model").out
    assert text.startswith("audits/model: audit\npassed: True\n")
    assert "noise.accuracy@0.05 >= 0  holds" in text
    assert "\n  noise  sigma" in text


def test_what_was_done_to_a_checkpoint_is_told(landscape, mine):
    state = torch.load(mine / "model.pt", weights_only=True)
    torch.save({"ema": {f"module.{name}": t for name, t in state.items()}}, mine / "ema.pt")
    done = landscape("audit", "ema.pt", *GIVEN, *FAST, "--baseline", "ema.pt")
    told = ("Weights from the entry ema.", "Took the prefix module. off the names.")
    assert [line for line in done.out.splitlines() if line.startswith("note: ")] == [
        *(f"note: {note}" for note in told),
        *(f"note: Baseline: {note}" for note in told),
    ]


def test_a_run_with_code_of_ones_own(landscape, refused, mine, monkeypatch):
    from landscape.tasks import imports

    monkeypatch.setattr(imports, "_allowed", set())
    monkeypatch.setattr("landscape.tasks.registry.TASKS", dict(TASKS))
    given = ("--model", "mine.py:net", "--data", "mine.py:splits", "--method", "sgd")
    assert landscape("train", *given, "--epochs", "1", "--out", "r").code == 0
    imports._allowed.clear()
    (line,) = refused("audit", "r", "--require", "loss < 99")
    assert "Pass --trust" in line
    assert landscape("audit", "r", "--require", "loss < 99", "--trust").code == 0


def test_exit_codes(landscape, mine):
    assert landscape("audit", "model.pt", *GIVEN, "--require", "accuracy >= 1.1").code == 1
    assert landscape("audit", "model.pt", *GIVEN, "--require", "accuracy >= hgh").code == 2


def test_json_is_the_whole_of_stdout(landscape, mine):
    done = landscape("audit", "model.pt", *GIVEN, *FAST, "--json", "--out", "here")
    tree = json.loads(done.out)
    assert tree["passed"] is True
    assert tree["page"] == "here/audit.html"
    assert tree["about"]["model"] == "mine.py:net"


def test_arguments_reach_the_factories(landscape, mine):
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    torch.save(model.state_dict(), mine / "narrow.pt")
    more = ("--model-args", "width=5", "--data-args", "n=20", "--json")
    tree = json.loads(landscape("audit", "narrow.pt", *GIVEN, *FAST, *more).out)
    assert tree["about"]["model_args"] == {"width": 5}


def test_a_requirements_file(landscape, mine):
    (mine / "rules.toml").write_text(
        'require = ["noise.accuracy@0.05 >= 0", "loss <= 100"]\n[noise]\ndraws = 3\n'
    )
    done = landscape("audit", "model.pt", *GIVEN, "--requirements", "rules.toml", "--json")
    tree = json.loads(done.out)
    assert [row["outcome"] for row in tree["requirements"]] == ["holds", "holds"]


def test_calibration_is_required(landscape, mine):
    """Code 1 where it falls short; beside itself no change."""
    arguments = ("audit", "model.pt", *GIVEN, "--json")
    names = ("calibration.ece <= 1", "change.calibration.ece <= 0")
    required = [word for name in names for word in ("--require", name)]
    done = landscape(*arguments, *required, "--baseline", "model.pt")
    assert [row["outcome"] for row in json.loads(done.out)["requirements"]] == ["holds", "holds"]
    assert landscape(*arguments, "--require", "calibration.ece <= 0").code == 1


def test_a_baseline(landscape, mine):
    done = landscape("audit", "model.pt", *GIVEN, "--baseline", "model.pt", "--json", *FAST)
    assert json.loads(done.out)["robustness_beside_baseline"].startswith(
        "No significant difference"
    )


def test_a_model_with_a_dict_needs_a_loss(landscape, mine, refused):
    torch.save({"layer.weight": torch.ones(3, 4), "layer.bias": torch.zeros(3)}, mine / "d.pt")
    given = ("--model", "mine.py:Dict", "--data", "mine.py:batches")
    (line,) = refused("audit", "d.pt", *given)
    assert "answers with a dict with scores" in line and "--loss" in line
    done = landscape(
        "audit", "d.pt", *given, "--loss", "mine.py:scores_loss", "--require", "loss<9"
    )
    assert done.code == 0


def test_train_and_test_apart(landscape, mine):
    given = ("--model", "mine.py:net", "--data", "mine.py:splits")
    done = landscape("audit", "model.pt", *given, "--require", "flatness.kappa >= 0", *FAST)
    assert done.code == 0
    from landscape.records import load

    records = mine / "audits" / "model" / "records"
    assert load(records / "relative_flatness.nc").point.examples == 40
    assert load(records / "noise.nc").point.examples == 20


WRONG = {
    ("--model", "mine.py:nett"): "Did you mean 'net'",
    ("--model", "other.py:net"): "There is no file",
    ("--model", "mine.py:no_model"): "must make a torch.nn.Module. Got int",
    ("--model", "resnet19"): "Unknown model 'resnet19'. Did you mean 'resnet18'",
    ("--model-args", "wide"): "takes key=value",
    ("--model-args", "depth=3"): "does not take these arguments",
    ("--model", "mlp", "--model-args", "depth=3"): "mlp does not take these arguments",
    ("--data", "digits", "--data-args", "n=3"): "digits does not take these arguments",
    ("--data", "mine.py:nothing"): "has no examples",
    ("--data", "mine.py:number"): "must be callable",
    ("--data", "mine.py:out_of_range"): "targets must be in [0, 3)",
    ("--loss", "mine.py:vector_loss"): "of shape ()",
    ("--loss", "mine.py:number"): "must be a function",
    ("--loss", "mse"): "pkg.mod:name",
    ("--require", "noise.acuracy@0.1 > 0"): "Did you mean 'noise.accuracy'",
    ("--set", "nois.draws=3"): "Did you mean 'noise'",
    ("--set", "noise.draws=1"): "at least 2",
    ("--on-uncertain", "perhaps"): "must be one of fail, pass, more",
    ("--baseline", "none.pt"): "There is no checkpoint none.pt",
    ("--requirements", "none.toml"): "No such file",
    ("--checkpoint-key", "ema"): "Unknown entry of model.pt 'ema'",
    ("--require", "change.loss < 1"): "--baseline",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input_is_one_line(arguments, mine, refused):
    (line,) = refused("audit", "model.pt", *GIVEN, *arguments)
    assert WRONG[arguments] in line
    assert not (mine / "audits").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_files_that_are_no_checkpoint(content, mine, refused):
    (mine / "bad.pt").write_bytes(content)
    (line,) = refused("audit", "bad.pt", *GIVEN)
    assert "bad.pt" in line


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_a_pickle_that_would_run_a_command(mine, refused):
    torch.save({"state_dict": Bomb()}, mine / "bomb.pt")
    (line,) = refused("audit", "bomb.pt", *GIVEN)
    assert "holds more than weights" in line
    assert not (mine / "ran").exists()


def test_nan_weights(mine, refused):
    state = torch.load(mine / "model.pt", weights_only=True)
    state["0.bias"][:] = float("nan")
    torch.save(state, mine / "nan.pt")
    (line,) = refused("audit", "nan.pt", *GIVEN)
    assert "8 of 8 in 0.bias" in line


def test_one_example(landscape, mine):
    done = landscape("audit", "model.pt", "--model", "mine.py:net", "--data", "mine.py:one")
    assert done.code == 0


def test_a_foreign_checkpoint_needs_its_model(mine, refused):
    (line,) = refused("audit", "model.pt", "--data", "mine.py:batches")
    assert "--model pkg.mod:name or file.py:name" in line


def test_suggested_requirements_hold_for_the_checkpoint_and_not_for_a_worse_one(landscape, mine):
    """Each of them has room: it holds for the same weights, and some fail for others."""
    few = ("--set", "noise.draws=4", "--set", "noise.sigmas=[0.05, 0.5]")
    done = landscape("audit", "model.pt", *GIVEN, *few, "--suggest")
    assert done.code == 0, done.err
    assert "requirements.toml holds these lines" in done.out
    texts = tomllib.loads(Path("audits/model/requirements.toml").read_text())["require"]
    names = {text.partition(" ")[0].partition("@")[0] for text in texts}
    assert {"accuracy", "loss", "noise.accuracy", "eigenvalues.max", "worst.loss"} <= names
    again = ("--requirements", "audits/model/requirements.toml", *few)
    same = landscape("audit", "model.pt", *GIVEN, *again, "--out", "same")
    assert same.code == 0, same.out
    torch.save({k: -3 * v for k, v in torch.load("model.pt").items()}, "worse.pt")
    assert landscape("audit", "worse.pt", *GIVEN, *again, "--out", "worse").code == 1


def test_suggestions_and_requirements_exclude_each_other(refused, mine):
    (line,) = refused("audit", "model.pt", *GIVEN, *FAST, "--suggest")
    assert line.startswith("`--suggest` makes requirements, so it takes none")


def test_beside_a_baseline_the_changes_are_in_the_table_and_the_badge_counts(landscape, mine):
    torch.save({k: 2 * v for k, v in torch.load("model.pt").items()}, "old.pt")
    few = ("--set", "noise.draws=4", "--set", "noise.sigmas=[0.05]")
    done = landscape("audit", "model.pt", *GIVEN, *few, *FAST, "--baseline", "old.pt")
    assert done.code == 0, done.err
    tree = json.loads(Path("audits/model/audit.json").read_text())
    measured = tree["measured"]
    change = measured["change.loss"]
    assert change["value"] == change["low"] == change["high"] != 0
    assert "change.noise.accuracy@0.05" in measured
    page = Path("audits/model/audit.html").read_text()
    assert "change from the baseline" in page
    (row,) = re.findall("<tr><th scope=.row.>loss</th><td>(.*)</td><td>(.*)</td></tr>", page)
    exact = (measured["loss"]["value"], change["value"])
    assert row == tuple(f"{value:.4g}".replace("-", "−") for value in exact)
    assert "<p>Baseline old.pt: loss " in page
    assert tree["about"]["examples"] == {"train": 40, "test": 40}
    badge = ElementTree.parse("audits/model/badge.svg").getroot()
    assert badge.attrib["aria-label"] == "minimum audited: 1 of 1 hold"


def test_numbers_of_examples_are_those_that_were_measured(landscape, mine):
    splits = ("--model", "mine.py:net", "--data", "mine.py:splits")
    landscape("audit", "model.pt", *splits, *FAST, "--examples", "30", "--set", "noise.draws=2")
    tree = json.loads(Path("audits/model/audit.json").read_text())
    assert tree["about"]["examples"] == {"train": 30, "test": 20}


def test_the_workflow_of_the_docs_audits(landscape, mine):
    """Its command, with the requirements that were suggested, on a network of one's own."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "audit-in-ci.md"
    block = page.read_text(encoding="utf-8").split("```yaml")[1].split("```")[0]
    command = block.split("- run: >")[1].split("- uses")[0].split()
    with Path("mine.py").open("a") as file:
        file.write("def test_set():\n    return batches()\n")
    few = ("--set", "noise.draws=2", "--set", "noise.sigmas=[0.05]")
    landscape("audit", "model.pt", *GIVEN, *few, "--suggest", "--out", "old")
    Path("old/requirements.toml").rename("requirements.toml")
    done = landscape(*command[1:], *few)
    assert done.code == 0, done.out + done.err
    names = {path.name for path in Path("audit").iterdir()}
    assert {"audit.html", "junit.xml", "badge.svg", "audit.json"} <= names
