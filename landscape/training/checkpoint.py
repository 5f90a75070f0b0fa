"""Checkpoints of an unfinished run, and state dicts as safetensors files.

A checkpoint is what `torch.save` makes of nested dicts, lists and tuples of tensors and plain
values, behind a line with its SHA-256; `torch.load(weights_only=True)` reads it, so nothing in it
is executed.
"""

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landscape.training import torch_files
from landscape.utils import files

MOST_HEADER = 2**25  # bytes of names and shapes in a safetensors file
MARK = b"landscape checkpoint, sha256 "


def save(path: Path, tree: Any) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers, strings, booleans and None."""
    buffer = io.BytesIO()
    torch.save(_portable(tree), buffer)
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest().encode()
    files.write(path, MARK + digest + b"\n" + payload)


def load(path: Path) -> Any:
    """Read the tree that `save` wrote, tensors on the CPU.

    Raises ValueError where the file is damaged or not from `save`.
    """
    if path.suffix == ".safetensors":  # of programs before 0.2
        return _load_first_format(path)
    data = path.read_bytes()
    head, payload = data[: len(MARK) + 65], data[len(MARK) + 65 :]
    if head != MARK + hashlib.sha256(payload).hexdigest().encode() + b"\n":
        raise ValueError(
            f"{path} is damaged: its checksum differs. Delete it, and the run starts again."
        )
    try:
        return torch_files.load(io.BytesIO(payload), len(payload))
    except (ValueError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path} is not a checkpoint of this program ({files.one_line(error)})."
        ) from None


def _portable(tree: Any) -> Any:
    """The same tree on the CPU, of torch's and Python's own types alone."""
    if isinstance(tree, Tensor):
        return tree.detach().cpu().contiguous().clone()
    if isinstance(tree, dict):
        return {key: _portable(value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(_portable(value) for value in tree)
    for kind in (bool, int, float, str):
        if isinstance(tree, kind):
            return kind(tree)
    if tree is None:
        return None
    raise TypeError(f"A checkpoint holds tensors and plain values. Got {type(tree).__name__}.")


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of any safetensors file, by name."""
    return _read(path)[0]


def load_into(model: nn.Module, state: dict[str, Tensor], source: Path) -> None:
    """Give a model the state of a checkpoint.

    Raises ValueError that lists which tensors differ.
    """
    expected = model.state_dict()
    counters = [name for name in expected if name.endswith("num_batches_tracked")]  # of newer torch
    differing = {
        "missing": [n for n in expected if n not in state and n not in counters],
        "unexpected": [n for n in state if n not in expected],
        "of another shape": [
            f"{n} {tuple(state[n].shape)} instead of {tuple(expected[n].shape)}"
            for n in expected
            if n in state and state[n].shape != expected[n].shape
        ],
    }
    if any(differing.values()):
        words = [f"{len(ns)} {what}: {_some(ns)}" for what, ns in differing.items() if ns]
        raise ValueError(f"{source} is of another architecture. {'; '.join(words)}.")
    model.load_state_dict(state, strict=False)


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def clone(tree: Any) -> Any:
    """The same tree with copies of all tensors."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: clone(value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(clone(value) for value in tree)
    return tree


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import safe_open

    with path.open("rb") as start:
        length = int.from_bytes(start.read(8), "little")
    if length > min(path.stat().st_size, MOST_HEADER):
        raise ValueError(f"{path} is damaged or no safetensors file (a header of {length} bytes).")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except Exception as error:  # of the library, and of torch, which lacks some of its types
        why = files.one_line(error)
        raise ValueError(f"{path} is damaged or no safetensors file ({why}).") from None


def _load_first_format(path: Path) -> Any:
    """Read a safetensors file whose metadata hold the tree around its tensors as JSON."""
    tensors, metadata = _read(path)
    try:
        return _fill(json.loads(metadata["tree"]), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a checkpoint of this program ({files.one_line(error)})."
        ) from None


def _fill(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_fill(value, tensors) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "tuple" in tree:
        return tuple(_fill(value, tensors) for value in tree["tuple"])
    return {key: _fill(value, tensors) for key, value in tree["dict"]}


def save_state(path: Path, state: dict[str, Tensor]) -> None:
    """A state dict as a plain safetensors file that any tool reads."""
    from safetensors.torch import save as to_bytes

    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in state.items()}
    files.write(path, to_bytes(tensors))
