"""Weights to start from: equal to the file bit for bit, and every difference told at once."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from landscape.methods import PAPERS
from landscape.tasks.init_settings import InitSettings
from landscape.training.initial_weights import initialise, located
from landscape.training.run import Run
from landscape.training.train import settings_for, train

SHORT = {"training": {"epochs": 1, "device": "cpu"}}


def net(classes=3):
    torch.manual_seed(classes)
    return nn.ModuleDict({"body": nn.Linear(4, 5), "head": nn.Linear(5, classes)})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "given.safetensors"
    save_file(net(2).state_dict(), path)
    return path


def test_all_weights_are_those_of_the_file(file):
    model = net(2)
    nn.init.zeros_(model["body"].weight)
    initialise(model, InitSettings(str(file)))
    for name, t in net(2).state_dict().items():
        assert torch.equal(model.state_dict()[name], t)


def test_a_dropped_head_stays_as_it_was_drawn(file):
    model, drawn = net(3), net(3)
    initialise(model, InitSettings(str(file), drop="head.*"))
    assert torch.equal(model["body"].weight, net(2)["body"].weight)
    assert torch.equal(model["head"].weight, drawn["head"].weight)


def test_every_difference_is_told_at_once_with_both_shapes(tmp_path):
    state = net(2).state_dict()
    state["extra"] = torch.ones(7)
    del state["body.bias"]
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ValueError) as error:
        initialise(net(3), InitSettings(str(tmp_path / "x.pt")))
    text = str(error.value)
    assert "Missing: body.bias (5,)." in text and "Left over: extra (7,)." in text
    assert "head.weight (2, 5) in the file, (3, 5) in the network" in text
    assert "head.bias (2,) in the file, (3,) in the network" in text and "init.drop" in text


def test_what_is_allowed_is_no_error(tmp_path):
    state = net(2).state_dict() | {"extra": torch.ones(7)}
    del state["body.bias"]
    torch.save(state, tmp_path / "x.pt")
    model, drawn = net(3), net(3)
    kinds = ("missing", "left over", "shape")
    initialise(model, InitSettings(str(tmp_path / "x.pt"), allow=kinds))
    assert torch.equal(model["body"].weight, state["body.weight"])
    assert torch.equal(model["body"].bias, drawn["body"].bias)
    assert torch.equal(model["head"].weight, drawn["head"].weight)


def test_names_are_mapped(tmp_path):
    state = {
        f"bert.{name}".replace("head", "classifier"): t for name, t in net(2).state_dict().items()
    }
    save_file(state, tmp_path / "x.safetensors")
    model, rules = net(2), {r"^bert\.": "", "^classifier": "head"}
    nn.init.zeros_(model["head"].weight)
    initialise(model, InitSettings(str(tmp_path / "x.safetensors"), rename=rules))
    assert torch.equal(model["head"].weight, net(2)["head"].weight)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_a_pickle_is_not_executed(tmp_path):
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"state_dict": Bomb()}))
    with pytest.raises(ValueError):
        initialise(net(2), InitSettings(str(tmp_path / "x.pt")))


def test_not_finite(tmp_path):
    model = net(2)
    model["body"].weight.data[0, 0] = float("nan")
    save_file(model.state_dict(), tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"NaN or infinite weights in body\.weight"):
        initialise(net(2), InitSettings(str(tmp_path / "x.safetensors")))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"allow": "shapes"}, "init.allow"), ({"drop": "("}, "regular expressions")],
)
def test_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        InitSettings(**wrong)


def test_where_there_is_nothing(tmp_path):
    with pytest.raises(ValueError, match="There are no weights"):
        located(str(tmp_path / "none.pt"))


def test_the_hub_is_not_asked_without_leave(monkeypatch):
    class Hub:
        @staticmethod
        def hf_hub_download(name, file, local_files_only):
            assert (name, file, local_files_only) == ("a/b", "model.safetensors", True)
            raise OSError("no copy")

    monkeypatch.setattr("landscape.training.initial_weights.optional", lambda *_: Hub)
    with pytest.raises(ValueError, match=r"hf:a/b has no copy here.*--download"):
        located("hf:a/b")


# --- trainings


@pytest.fixture(scope="module")
def low(tmp_path_factory):
    return train("digits-low", "sgd", out=tmp_path_factory.mktemp("low") / "run", settings=SHORT)


def test_a_training_starts_there(low, tmp_path):
    """After a step of length 0 all but the drawn head, and counters, is the file's."""
    still = {"training": {"lr": 1e-30, "weight_decay": 0.0, "epochs": 1, "device": "cpu"}}
    settings = {**still, "init": {"source": str(low.path)}}
    run = train("digits-high", "sgd", out=tmp_path / "run", settings=settings)
    start, end = low.model().state_dict(), run.model().state_dict()
    for name in ("conv1.weight", "norm1.weight", "conv2.weight"):
        assert torch.equal(start[name], end[name])
    assert not torch.equal(start["head.weight"], end["head.weight"])
    assert Run.open(run.path).settings.init.sha256


def test_another_file_is_another_run(low, tmp_path):
    settings = {**SHORT, "init": {"source": str(low.path)}}
    train("digits-high", "sgd", out=tmp_path / "run", settings=settings)
    other = tmp_path / "other.safetensors"
    save_file(low.model().state_dict() | {"conv1.weight": torch.ones(16, 1, 3, 3)}, other)
    with pytest.raises(ValueError, match=r"init\.sha256"):
        again = {**SHORT, "init": {"source": str(other)}}
        train("digits-high", "sgd", out=tmp_path / "run", settings=again)


def test_a_run_that_has_not_ended_or_is_damaged(low, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("settings.json", "weights.safetensors"):
        (tmp_path / "run" / name).write_bytes((low.path / name).read_bytes())
    with pytest.raises(ValueError, match="has not finished"):
        located(str(tmp_path / "run"))
    (tmp_path / "run" / "manifest.json").write_bytes((low.path / "manifest.json").read_bytes())
    located(str(tmp_path / "run"))
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(ValueError, match="is damaged: its checksum differs"):
        located(str(tmp_path / "run"))


def test_a_wrong_head_without_drop(low, tmp_path):
    with pytest.raises(ValueError, match=r"head\.weight \(5, 512\) in the file, \(10, 512\) in"):
        init = {"init": {"source": str(low.path)}}
        train("digits-cnn", "sgd", out=tmp_path / "run", settings={**SHORT, **init})


@pytest.mark.parametrize("method", [*PAPERS, "lets+asam", "fam+sam"])
def test_every_method_with_a_frozen_body(method, low, tmp_path):
    """Frozen weights and statistics stay bit for bit; the head moves."""
    groups = [{"match": "(conv|norm).*", "freeze": True}, {"match": ".*"}]
    settings = {
        "training": {"epochs": 1, "device": "cpu", "groups": groups},
        "init": {"source": str(low.path)},
        "data": {"held_out": 0.2},
    }
    run = train("digits-high", method, out=tmp_path / "run", settings=settings)
    start, end = low.model().state_dict(), run.model().state_dict()
    for name in start:
        assert torch.equal(start[name], end[name]) == (not name.startswith("head")), name


def test_an_interrupted_training_goes_on_bit_for_bit(low, tmp_path):
    from landscape.tasks.registry import task
    from landscape.training.loop import Training
    from landscape.training.run import load_data

    settings = settings_for("digits-high", "sam", 0, {**SHORT, "init": {"source": str(low.path)}})

    def fresh():
        return Training(settings, task("digits-high"), load_data(task("digits-high"), None))

    whole, first, second = fresh(), fresh(), fresh()
    list(whole.run_epoch())
    steps = first.run_epoch()
    next(steps), next(steps)
    second.restore(first.boundary())
    list(second.run_epoch())
    assert torch.equal(whole.walker.w, second.walker.w)
