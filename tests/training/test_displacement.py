"""How far a fine-tuned network went, against plain norms; interrupted, tied, frozen, over ranks."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from landscape.tasks.init_settings import InitSettings
from landscape.tasks.registry import task
from landscape.training.initial_weights import initialise
from landscape.training.run import Run
from landscape.training.stage import network
from landscape.training.start.displacement import FILE, Start, kept_norms, record
from landscape.training.train import settings_for, train
from tests.training.test_over_ranks import torchrun

SHORT = {"training": {"epochs": 1, "device": "cpu"}}
FROZEN = [{"match": "norm.*", "freeze": True}, {"match": ".*"}]


@pytest.fixture(scope="module")
def low(tmp_path_factory):
    """A file with the weights that the seed draws for another task: as good as trained ones."""
    path = tmp_path_factory.mktemp("low") / "low.safetensors"
    settings = settings_for("digits-low", "sgd", 7, SHORT)
    save_file(network(settings, task("digits-low")).state_dict(), path)
    return path


def tuned(low, out, method="sgd", **training):
    settings = {"training": {**SHORT["training"], **training}, "init": {"source": str(low)}}
    return train("digits-high", method, 3, out, settings=settings, resume=True)


def test_distances_are_plain_norms_in_double_precision(low, tmp_path):
    run = tuned(low, tmp_path / "run", "sam", groups=FROZEN)
    found = run.records()["displacement"]
    start = dict(network(run.settings, run.task).named_parameters())
    end = dict(run.model().named_parameters())
    assert list(found.parameters) == list(start)
    for i, name in enumerate(start):
        a, b = (p.detach().numpy().astype(np.float64) for p in (start[name], end[name]))
        assert found.distance[i] == pytest.approx(np.sqrt(np.sum((b - a) ** 2)), rel=1e-13)
        assert found.start_norm[i] == pytest.approx(np.sqrt(np.sum(a**2)), rel=1e-13)
        assert found.elements[i] == a.size
        assert found.frozen[i] == name.startswith("norm") == (found.distance[i] == 0.0)
        assert found.drawn[i] == name.startswith("head")
    assert found.settings["init"]["source"] == str(low)


def test_without_a_file_there_is_nothing_to_measure(tmp_path):
    run = train("digits-high", "sgd", out=tmp_path / "run", settings=SHORT)
    assert "displacement" not in run.records() and not (run.path / FILE).exists()


def test_a_run_of_an_older_program_is_read(low, tmp_path):
    run = tuned(low, tmp_path / "run")
    (run.path / FILE).unlink()
    sums = json.loads((run.path / "manifest.json").read_text())
    entries = sums.get("files", sums)
    entries.pop(FILE)
    (run.path / "manifest.json").write_text(json.dumps(sums))
    assert "displacement" not in Run.open(run.path).records()


def interrupted(low, out, monkeypatch):
    """A run that stops after its first epoch of two."""
    from landscape.training.keeper import Keeper

    def stop(keeper):
        keeper._take()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Keeper, "after_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            tuned(low, out, epochs=2)
    assert np.isnan(record(out).distance).all()


def test_an_interrupted_run_counts_from_its_first_step(low, tmp_path, monkeypatch):
    interrupted(low, tmp_path / "run", monkeypatch)
    tuned(low, tmp_path / "run", epochs=2)
    tuned(low, tmp_path / "whole", epochs=2)
    found, wanted = ((tmp_path / name / FILE).read_bytes() for name in ("run", "whole"))
    assert found == wanted


@pytest.mark.parametrize("lost", ["another draw", "not kept"])
def test_a_start_that_cannot_be_drawn_again_is_unknown(low, tmp_path, monkeypatch, lost):
    """On a card the seed draws other numbers; what came from the file is known all the same."""
    interrupted(low, tmp_path / "run", monkeypatch)
    path = tmp_path / "run" / FILE
    if lost == "another draw":
        held = json.loads(path.read_text())
        held["start_norm"][-2] *= 1.001
        path.write_text(json.dumps(held))
    else:
        path.unlink()
    found = tuned(low, tmp_path / "run", epochs=2).records()["displacement"]
    unknown = ["head.weight"] if lost == "another draw" else ["head.weight", "head.bias"]
    assert list(found.parameters[np.isnan(found.distance)]) == unknown
    assert np.isfinite(found.relative)


def test_a_damaged_file_is_told(low, tmp_path):
    run = tuned(low, tmp_path / "run")
    held = json.loads((run.path / FILE).read_text())
    del held["distance"]
    (run.path / FILE).write_text(json.dumps(held))
    with pytest.raises(ValueError, match="is damaged: its tables lack what a record needs"):
        Run(run.path).records()
    assert kept_norms(tmp_path) == {}


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight
        self.other = nn.Linear(4, 4)


def test_a_tied_parameter_counts_once_and_is_given_by_either_name(tmp_path):
    path = tmp_path / "given.pt"
    torch.save({"head.weight": torch.ones(5, 4)}, path)
    model = Tied()
    init = InitSettings(str(path), drop=("other.*", "embed.*"))
    drawn = initialise(model, init)
    assert drawn == {"other.weight", "other.bias"}
    start = Start(model, drawn)
    with torch.no_grad():
        model.embed.weight += 1
    start.write(tmp_path, model)
    found = record(tmp_path)
    assert list(found.parameters) == ["embed.weight", "other.weight", "other.bias"]
    assert found.distance[0] == pytest.approx(20**0.5, rel=1e-15)


def test_numbers_of_other_kinds(tmp_path):
    """Small steps of half precision, and complex weights."""
    model = nn.ParameterDict({
        "narrow": nn.Parameter(torch.full((2,), 3.0, dtype=torch.bfloat16)),
        "wide": nn.Parameter(torch.tensor([3 + 4j])),
    })  # fmt: skip
    start = Start(model, frozenset())
    with torch.no_grad():
        model["narrow"] += 1
        model["wide"] *= 2
    start.write(tmp_path, model)
    found = dict(zip(record(tmp_path).parameters, record(tmp_path).distance, strict=True))
    assert found == {"narrow": pytest.approx(2**0.5), "wide": pytest.approx(5.0)}


def plain(run):
    """Norms of what lies between the weights drawn again and the last ones, in their order."""
    start, end = network(run.settings, run.task), run.model()
    pairs = zip(start.parameters(), end.parameters(), strict=True)
    return [(b.detach().double() - a.detach().double()).norm().item() for a, b in pairs]


@pytest.mark.slow
def test_a_sequence_of_tasks_counts_from_before_the_first(low, tmp_path):
    settings = {**SHORT, "init": {"source": str(low)}, "data": {"held_out": 0.0},
                "lifelong": {"tasks": 5, "batch_norm": "shared"}}  # fmt: skip
    run = train("digits-high", "sgd", out=tmp_path / "run", settings=settings)
    assert run.records()["displacement"].distance == pytest.approx(plain(run), rel=1e-12)


@pytest.mark.slow
def test_over_ranks_the_first_one_writes_what_all_of_them_trained(low, tmp_path):
    given = ("train", "--task", "digits-high", "--method", "sam", "--device", "cpu")
    process = torchrun(tmp_path, *given, "--init", low, "--epochs", 1, "--out", tmp_path / "run")
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    run = Run(tmp_path / "run")
    found = run.records()["displacement"]
    assert found.distance == pytest.approx(plain(run), rel=1e-12)
    assert found.drawn.tolist() == [False] * 6 + [True] * 2 and (found.distance > 0).all()
    assert json.loads((run.path / "environment.json").read_text())["world_size"] == 2
