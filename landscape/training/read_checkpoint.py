"""Weights from elsewhere: state dicts and safetensors, read without executing anything in them."""

import json
import pickle
import pickletools
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from landscape.network.weights import check_initialised
from landscape.training import torch_files
from landscape.training.checkpoint import load_into, load_tensors
from landscape.utils import files, manifest
from landscape.utils.names import look_up
from landscape.utils.paths import refuse_links_out

# Where training scripts put a state dict in what they save, the preferred ones first.
PLACES = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "module",
    "weights", "params", "state_dict_ema", "model_ema", "ema_state_dict", "ema",
)  # fmt: skip
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "ema_model.", "_forward_module.")
EXTRAS = ("n_averaged",)  # counters of torch's AveragedModel


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors, and in words what was done to find them."""

    path: Path
    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()

    def load_into(self, model: nn.Module) -> "Checkpoint":
        """Give the model these weights; prefixes of wrappers are taken off, and named in `notes`.

        Raises ValueError that lists missing, unexpected and reshaped tensors, and for weights that
        are not finite.
        """
        expected = model.state_dict()
        check_initialised(model)
        tensors, notes = _unwrapped(dict(self.tensors), expected)
        tensors = _converted(tensors, model)
        load_into(model, tensors | _tied_to(tensors, model), self.path)
        for name, tensor in tensors.items():
            wrong = int((~tensor.isfinite()).sum()) if tensor.is_floating_point() else 0
            if wrong:
                raise ValueError(
                    f"{self.path} holds NaN or infinite weights: {wrong} of {tensor.numel()} in "
                    f"{name}. There is no minimum to measure."
                )
        return replace(self, tensors=tensors, notes=(*self.notes, *notes))


def read(path: Path | str, key: str | None = None) -> Checkpoint:
    """The checkpoint in a .pt or .safetensors file, or the final weights of a run's folder.

    key: the entry of a saved dictionary that holds the weights, "ema.shadow" for a nested one;
    default the first of `PLACES` that there is, or the dictionary itself.

    Raises ValueError where it is damaged, is a pickled module, or holds no weights.
    """
    path = Path(path)
    if path.is_dir() and not (path / "settings.json").exists():
        inside = sorted(p for kind in ("safetensors", "pt", "bin") for p in path.glob(f"*.{kind}"))
        hint = f" Name a file in it, as {inside[0]}." if inside else ""
        raise ValueError(f"{path} is a folder, but not one of our runs.{hint}")
    if path.is_dir():
        return Checkpoint(path, load_tensors(weights_of_run(path)))
    if not path.exists():
        raise ValueError(f"There is no checkpoint {path}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty, 0 bytes: was the disk full when it was saved?")
    if path.suffix == ".safetensors":
        return Checkpoint(path, load_tensors(path))
    if _is_torchscript(path):
        text, target = json.dumps(str(path)), str(path.with_name(f"{path.stem}-weights.pt"))
        raise ValueError(
            f"{path} is a TorchScript archive, a program with weights. Where you trust it, take "
            f"them out: torch.save(torch.jit.load({text}).state_dict(), {json.dumps(target)})"
        )
    return _state_in(path, _unpickled(path), key)


def weights_of_run(folder: Path) -> Path:
    """The file of a run's final weights.

    Raises ValueError where the run has not ended, or the file is not as it was sealed.
    """
    refuse_links_out(folder)
    path = folder / "weights.safetensors"
    sealed = manifest.read(folder).get(path.name)
    if sealed is None or not path.is_file():
        raise ValueError(
            f"{folder} has not finished: it has no sealed weights. "
            "Go on with landscape train ... --resume."
        )
    if files.sha256(path) != sealed:
        raise ValueError(f"{path} is damaged: its checksum differs. Train the run again.")
    return path


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # no archive, or a damaged one
        return False


def _unpickled(path: Path) -> Any:
    """Contents that torch.save wrote, as far as they are tensors and plain values."""
    try:
        with path.open("rb") as file:
            return torch_files.load(file, path.stat().st_size)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than weights ({_what_else(error)}), which only running its code "
            f"could read. Where you trust it, convert it once: {_conversion(path)}"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged or no checkpoint ({error}).") from None


def _conversion(path: Path) -> str:
    """Two lines of Python; for a dictionary with what seems to be the entry of the weights."""
    whole = f"torch.load({json.dumps(str(path))}, weights_only=False)"
    made = json.dumps(str(path.with_name(f"{path.stem}-weights.pt")))
    entries = _entries(path)
    if entries is None:
        return f"state = {whole}.state_dict(); torch.save(state, {made})"
    place = next((place for place in PLACES if place in entries), "state_dict")
    state = "found if isinstance(found, dict) else found.state_dict()"
    return f'found = {whole}["{place}"]; torch.save({state}, {made})'


def _entries(path: Path) -> set[str] | None:
    """All texts in a pickled dictionary, by its opcodes, none of which is run; None for others."""
    try:
        with path.open("rb") as file:
            steps = list(pickletools.genops(torch_files.pickle_of(file, path.stat().st_size)))
    except ValueError:
        return None
    if [operation.name for operation, _, _ in steps[:2]] != ["PROTO", "EMPTY_DICT"]:
        return None
    return {argument for _, argument, _ in steps if isinstance(argument, str)}


def _what_else(error: Exception) -> str:
    """The class that torch refused to import, out of its long message."""
    words = str(error).split()
    named = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "GLOBAL"]
    return named[0].rstrip(".,") if named else "objects of Python classes"


def _state_in(path: Path, content: Any, key: str | None) -> Checkpoint:
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds no state dict but a {type(content).__name__}.")
    if key is not None:
        for entry in key.split("."):
            content = look_up(
                f"entry of {path}", entry, content if isinstance(content, Mapping) else {}
            )
        return Checkpoint(path, _tensors(path, content), (f"Weights from the entry {key}.",))
    if any(isinstance(value, Tensor) for value in content.values()):
        return Checkpoint(path, _tensors(path, content))
    places = [place for place in PLACES if isinstance(content.get(place), Mapping)]
    if not places:
        raise ValueError(
            f"{path} holds no weights that could be found. "
            f"Its entries: {_some_of(content)}. Name one with --checkpoint-key."
        )
    others = f" Also there: {', '.join(places[1:])}." if places[1:] else ""
    note = f"Weights from the entry {places[0]}.{others}"
    inner = _state_in(path, content[places[0]], None)
    return replace(inner, notes=(note, *inner.notes))


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    tensors = (
        {str(name): t for name, t in content.items() if isinstance(t, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise ValueError(f"{path} holds no weights there.")
    for name, tensor in tensors.items():
        if not torch_files.is_plain(tensor):
            raise ValueError(
                f"{path} must hold dense weights with a number for each element. "
                f"{name[:100]} is sparse, quantized, without data or repeats its numbers."
            )
    return tensors


def fitted(
    tensors: Mapping[str, Tensor], model: nn.Module, names: Collection[str]
) -> dict[str, Tensor]:
    """Tensors under the names of a model: without prefixes of wrappers, in newer forms, tied ones
    under all of their names. names: of the model, those that are looked for.
    """
    expected = {name: t for name, t in model.state_dict().items() if name in names}
    converted = _converted(_unwrapped(dict(tensors), expected)[0], model)
    tied = _tied_to(converted, model)
    return converted | {name: t for name, t in tied.items() if name in expected}


def _some_of(entries: Mapping[Any, Any], most: int = 20) -> str:
    """The first names of a dictionary, each cut where it is long."""
    names = [str(name)[:50] for name in list(entries)[:most]]
    return ", ".join(names + ["..."] * (len(entries) > most)) or "none"


def _unwrapped(
    tensors: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Without the prefixes that wrappers add, as long as that makes more names fit."""
    notes = []
    extras = [name for name in EXTRAS if name in tensors and name not in expected]
    for name in extras:
        del tensors[name]
        notes.append(f"Left out {name}, a counter of averaged weights.")
    while True:
        fitting = len(tensors.keys() & expected.keys())
        for prefix in PREFIXES:
            stripped = {name.removeprefix(prefix): t for name, t in tensors.items()}
            if len(stripped) == len(tensors) and len(stripped.keys() & expected.keys()) > fitting:
                tensors = stripped
                notes.append(f"Took the prefix {prefix} off the names.")
                break
        else:
            inner = next((p for p in PREFIXES if all(n.startswith(p) for n in tensors)), None)
            if fitting or inner is None:
                return tensors, notes
            tensors = {name.removeprefix(inner): t for name, t in tensors.items()}
            notes.append(f"Took the prefix {inner} off the names.")


def _converted(tensors: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Older forms as the modules' own hooks of loading turn them, as that of weight norm."""
    converted = dict(tensors)
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        for hook in module._load_state_dict_pre_hooks.values():
            hook(converted, prefix, {}, True, [], [], [])
    return converted


def _tied_to(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Keys that are missing only because the file has a tied parameter under its other name."""
    names: dict[int, list[str]] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), []).append(name)
    return {
        name: tensors[given[0]]
        for group in names.values()
        if (given := [name for name in group if name in tensors])
        for name in group
        if name not in tensors
    }
