"""Checkpoints: trees come back bit for bit, damage and strangers are named."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from landscape.training import checkpoint


def test_a_tree_comes_back_bit_for_bit(tmp_path):
    shared = torch.randn(3, 2).t()
    tree = {
        "a": {0: {"m": shared, "n": shared}, "step": torch.tensor(3.0)},
        "b": [1, 0.1 + 0.2, None, True, (0.9, 0.999)],
        "c": {"text": "x", "none": {}},
        "bf16": torch.randn(4).bfloat16(),
    }
    checkpoint.save(tmp_path / "c", tree)
    back = checkpoint.load(tmp_path / "c")
    assert torch.equal(back["a"][0]["m"], shared) and back["a"]["step"] == 3.0
    assert back["b"] == tree["b"] and isinstance(back["b"][4], tuple)
    assert back["c"] == tree["c"] and torch.equal(back["bf16"], tree["bf16"])


def test_infinite_numbers_come_back(tmp_path):
    checkpoint.save(tmp_path / "c", {"x": math.inf, "t": torch.zeros(1)})
    assert checkpoint.load(tmp_path / "c")["x"] == math.inf


@pytest.mark.parametrize("damage", [b"", b"\x80\x04\x95", b"PK\x03\x04"])
@pytest.mark.parametrize("name", ["c.pt", "c.safetensors"])
def test_what_is_no_checkpoint_is_named(tmp_path, damage, name):
    (tmp_path / name).write_bytes(damage)
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        checkpoint.load(tmp_path / name)


def test_the_first_format_is_still_read():
    path = Path(__file__).parents[1] / "records_v1" / "checkpoint.safetensors"
    tree = checkpoint.load(path)
    assert torch.equal(tree["a"]["m"], torch.tensor([[1.5, -2.0]]))
    assert tree["a"]["t"] == (1, 2.5) and tree["b"] == [None, True, "x", {0: torch.tensor(3)}]


def test_a_truncated_file_is_named(tmp_path):
    checkpoint.save(tmp_path / "c", {"t": torch.zeros(100)})
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:-10])
    with pytest.raises(ValueError, match="is damaged"):
        checkpoint.load(tmp_path / "c")


def test_another_architecture_is_told_tensor_by_tensor(tmp_path):
    model, other = nn.Linear(2, 3), nn.Sequential(nn.Linear(2, 3))
    with pytest.raises(ValueError) as error:
        checkpoint.load_into(model, other.state_dict(), tmp_path)
    assert "2 missing: weight, bias; 2 unexpected: 0.weight, 0.bias." in str(error.value)
    with pytest.raises(ValueError, match=r"weight \(4, 2\) instead of \(3, 2\)"):
        checkpoint.load_into(model, nn.Linear(2, 4).state_dict(), tmp_path)


def test_only_tensors_and_plain_values_are_kept(tmp_path):
    with pytest.raises(TypeError, match=r"plain values\. Got set\."):
        checkpoint.save(tmp_path / "c", {"x": {1}})


def test_plain_weights_are_read_by_any_safetensors_reader(tmp_path):
    import safetensors.torch

    model = nn.Conv2d(1, 2, 3).to(memory_format=torch.channels_last)
    checkpoint.save_state(tmp_path / "w", model.state_dict())
    assert torch.equal(safetensors.torch.load_file(tmp_path / "w")["weight"], model.weight)
