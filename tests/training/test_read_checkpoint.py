"""Weights from elsewhere: what is read, what is refused, and that nothing in a file ever runs."""

import argparse
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from landscape.training import read_checkpoint


def net():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.fixture
def state():
    return net().state_dict()


def fresh():
    model = net()
    for p in model.parameters():
        nn.init.zeros_(p)
    return model


def same(model, state):
    return all(torch.equal(model.state_dict()[name], t) for name, t in state.items())


def prefixed(state, prefix):
    return {prefix + name: t for name, t in state.items()}


SAVED = {
    "plain": lambda s: s,
    "state_dict": lambda s: {"epoch": 3, "state_dict": s},
    "nested": lambda s: {"model": {"state_dict": s}, "optimizer": {"lr": 0.1}},
    "data parallel": lambda s: prefixed(s, "module."),
    "compiled data parallel": lambda s: prefixed(s, "_orig_mod.module."),
    "lightning": lambda s: {"state_dict": prefixed(s, "model."), "epoch": 1},
    "averaged": lambda s: {"n_averaged": torch.tensor(4), **prefixed(s, "module.")},
    "old": lambda s: {n: t for n, t in s.items() if "num_batches" not in n},
}


@pytest.mark.parametrize("form", SAVED)
def test_forms(form, state, tmp_path):
    torch.save(SAVED[form](state), tmp_path / "x.pt")
    model = fresh()
    loaded = read_checkpoint.read(tmp_path / "x.pt").load_into(model)
    wanted = {n: t for n, t in state.items() if "num_batches" not in n}
    assert same(model, wanted)
    assert (form in ("plain", "old")) == (not loaded.notes)


def test_notes_name_what_was_done(state, tmp_path):
    both = {"state_dict": prefixed(state, "module."), "state_dict_ema": state}
    torch.save(both, tmp_path / "x.pt")
    notes = read_checkpoint.read(tmp_path / "x.pt").load_into(fresh()).notes
    assert notes == (
        "Weights from the entry state_dict. Also there: state_dict_ema.",
        "Took the prefix module. off the names.",
    )


def test_a_named_entry(state, tmp_path):
    averaged = {name: t + 1 for name, t in state.items()}
    torch.save({"state_dict": state, "ema": {"shadow": averaged}}, tmp_path / "x.pt")
    model = fresh()
    read_checkpoint.read(tmp_path / "x.pt", "ema.shadow").load_into(model)
    assert same(model, averaged)
    with pytest.raises(ValueError, match="Did you mean 'ema'"):
        read_checkpoint.read(tmp_path / "x.pt", "emma.shadow")


def test_safetensors(state, tmp_path):
    save_file(prefixed(state, "module."), tmp_path / "x.safetensors")
    model = fresh()
    read_checkpoint.read(tmp_path / "x.safetensors").load_into(model)
    assert same(model, state)


def test_a_tied_weight_under_one_name(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embedding.weight

    torch.save({"embedding.weight": torch.ones(5, 3)}, tmp_path / "x.pt")
    model = Tied()
    read_checkpoint.read(tmp_path / "x.pt").load_into(model)
    assert bool((model.head.weight == 1).all())


def test_a_mismatch_lists_all_three_kinds(state, tmp_path):
    state["0.weight"], state["9.bias"] = torch.zeros(4, 7), torch.zeros(1)
    del state["2.bias"]
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="another architecture") as error:
        read_checkpoint.read(tmp_path / "x.pt").load_into(fresh())
    for line in ("1 missing: 2.bias", "1 unexpected: 9.bias", "0.weight (4, 7) instead of (4, 3)"):
        assert line in str(error.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(bad, state, tmp_path):
    state["0.weight"][1, 1] = bad
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"1 of 12 in 0\.weight"):
        read_checkpoint.read(tmp_path / "x.pt").load_into(fresh())


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_pickle_that_would_run_a_command_does_not(tmp_path):
    mark = tmp_path / "ran"
    torch.save({"state_dict": Bomb(mark)}, tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Bomb(mark)))
    for name in ("x.pt", "y.pt"):
        with pytest.raises(ValueError, match=r"holds more than weights"):
            read_checkpoint.read(tmp_path / name)
    assert not mark.exists()


def run_the_advice(path):
    """The two lines of the error, run by a user who trusts the file."""
    with pytest.raises(ValueError) as error:
        read_checkpoint.read(path)
    assert "\n" not in str(error.value)
    load, save = str(error.value).partition("convert it once: ")[2].split("; ")
    exec(f"{load}\n{save}", {"torch": torch})
    return str(error.value)


def test_a_pickled_module_is_told_how_to_convert(state, tmp_path):
    torch.save(net(), tmp_path / "x.pt")
    assert "torch.nn.modules.container.Sequential" in run_the_advice(tmp_path / "x.pt")
    model = fresh()
    read_checkpoint.read(tmp_path / "x-weights.pt").load_into(model)
    assert same(model, state)


@pytest.mark.parametrize("entry", ["state_dict", "model", "net"])
def test_weights_beside_other_objects_are_told_how_to_convert(entry, state, tmp_path):
    """The options of a script, as so many save them; under "model" the whole module."""
    held = net() if entry == "model" else state
    saved = {"epoch": 3, "args": argparse.Namespace(lr=0.1), entry: held}
    torch.save(saved, tmp_path / "x.pt")
    run_the_advice(tmp_path / "x.pt")
    model = fresh()
    read_checkpoint.read(tmp_path / "x-weights.pt").load_into(model)
    assert same(model, state)


def test_a_folder_of_something_else_names_the_file(state, tmp_path):
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"not one of our runs\. Name .*model\.safetensors\.$"):
        read_checkpoint.read(tmp_path)


WRONG = {
    "empty.pt": (b"", "0 bytes"),
    "text.pt": (b"hello there, this is no checkpoint", "no checkpoint"),
    "cut.pt": (None, "damaged or no checkpoint"),
    "x.safetensors": (b"12345678901", "damaged or no safetensors"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_checkpoint(name, state, tmp_path):
    content, message = WRONG[name]
    if content is None:
        torch.save(state, tmp_path / "whole.pt")
        content = (tmp_path / "whole.pt").read_bytes()[:500]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_checkpoint.read(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "saved", [{"epoch": 3}, [1, 2], {"state_dict": {"a": 1}}, {}], ids=["epoch", "list", "a", "{}"]
)
def test_no_weights_in_it(saved, tmp_path):
    torch.save(saved, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"no state dict|no weights"):
        read_checkpoint.read(tmp_path / "x.pt")


def test_no_such_file(tmp_path):
    with pytest.raises(ValueError, match="There is no checkpoint"):
        read_checkpoint.read(tmp_path / "x.pt")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_old_weight_norm_goes_into_the_parametrised_layer(tmp_path, prefix):
    with torch.random.fork_rng(), pytest.warns(FutureWarning):
        torch.manual_seed(2)
        old = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
    old[0].weight_g.data += 1
    torch.save(prefixed(old.state_dict(), prefix), tmp_path / "x.pt")
    new = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
    read_checkpoint.read(tmp_path / "x.pt").load_into(new)
    x = torch.ones(2, 3)
    torch.testing.assert_close(new(x), old(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_archive_is_refused_with_the_line_that_converts_it(tmp_path):
    torch.jit.script(net().eval()).save(tmp_path / "x.pt")
    with pytest.raises(ValueError, match="is a TorchScript archive") as error:
        read_checkpoint.read(tmp_path / "x.pt")
    exec(str(error.value).partition("take them out: ")[2], {"torch": torch})
    model = fresh()
    read_checkpoint.read(tmp_path / "x-weights.pt").load_into(model)
    assert same(model, net().state_dict())


def test_a_network_without_shapes_is_to_run_once(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"has no shape yet. Run one batch through the model"):
        read_checkpoint.read(tmp_path / "x.pt").load_into(nn.LazyLinear(2))
