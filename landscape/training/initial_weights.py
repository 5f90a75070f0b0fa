"""Weights to start from: those of a file, put into a new network. Nothing of it is executed."""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from landscape.tasks.init_settings import InitSettings
from landscape.training import read_checkpoint
from landscape.utils import files
from landscape.utils.network import may_download
from landscape.utils.optional import optional

HUB = "hf:"  # before the name of a repository
MOST_NAMES = 20  # of each kind, in an error
ADVICE = (
    "Draw parts anew with init.drop (as head.*), map names with init.rename, or let them differ "
    "with init.allow."
)


def initialise(model: nn.Module, init: InitSettings) -> frozenset[str]:
    """Give a network the weights of a file; what is dropped, or allowed to differ, stays as drawn.

    Returns the names of the parameters that stay as drawn; none where no file is named.

    Raises ValueError, in one line, that lists all that is missing, left over or of another shape.
    """
    if not init.source:
        return frozenset()
    path = located(init.source)
    if init.sha256 and digest(path) != init.sha256:
        raise ValueError(f"{path} is not the file that the settings name: its SHA-256 differs.")
    given = {
        renamed(name, init.rename): t for name, t in read_checkpoint.read(path).tensors.items()
    }
    expected = model.state_dict()
    kept = [name for name in expected if not _matches(name, init.drop)]
    given = {name: t for name, t in given.items() if not _matches(name, init.drop)}
    given = read_checkpoint.fitted(given, model, kept)
    _refuse_differences(path, given, {name: expected[name] for name in kept}, init)
    fitting = {
        name: given[name]
        for name in kept
        if name in given and given[name].shape == expected[name].shape
    }
    wrong = [n for n, t in fitting.items() if t.is_floating_point() and not t.isfinite().all()]
    if wrong:
        raise ValueError(f"{path} holds NaN or infinite weights in {_listed(wrong)}.")
    with torch.no_grad():
        model.load_state_dict(fitting, strict=False)
    every = model.named_parameters(
        remove_duplicate=False
    )  # a tied one is given by any of its names
    given_ids = {id(p) for name, p in every if name in fitting}
    return frozenset(name for name, p in model.named_parameters() if id(p) not in given_ids)


def located(source: str) -> Path:
    """The file of the weights: a file, that of a run's folder, or a copy from the hub.

    Raises ValueError where it is not there, and where it would have to be fetched, which needs
    downloads to be allowed.
    """
    if source.startswith(HUB):
        return _from_hub(source.removeprefix(HUB))
    path = Path(source)
    if path.is_dir() and (path / "settings.json").exists():
        return read_checkpoint.weights_of_run(path)
    if not path.is_file():
        raise ValueError(
            f"There are no weights {source}. `--init` takes a file, a run, or hf:NAME."
        )
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file of weights, kept until the file changes."""
    status = path.stat()
    return _digest(path.resolve(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _digest(path: Path, _modified: int, _size: int) -> str:
    return files.sha256(path)


def _from_hub(name: str) -> Path:
    hub = optional("huggingface_hub", "hf")
    try:
        found = hub.hf_hub_download(name, "model.safetensors", local_files_only=not may_download())
    except Exception as error:  # of the library, the hub and the network
        if not may_download():
            raise ValueError(
                f"{HUB}{name} has no copy here, and downloads are not allowed. Pass --download to "
                "allow them."
            ) from None
        raise ValueError(f"{HUB}{name} could not be fetched: {files.one_line(error)}") from None
    return Path(found)


def renamed(name: str, rules: Mapping[str, str]) -> str:
    """Name of the file's as the network has it: each expression replaced, in their order."""
    for pattern, replacement in rules.items():
        name = re.sub(pattern, replacement, name)
    return name


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _refuse_differences(
    path: Path, given: Mapping[str, Tensor], expected: Mapping[str, Tensor], init: InitSettings
) -> None:
    counters = [name for name in expected if name.endswith("num_batches_tracked")]
    found = {
        "missing": [
            f"{n} {tuple(t.shape)}"
            for n, t in expected.items()
            if n not in given and n not in counters
        ],
        "left over": [f"{n} {tuple(t.shape)}" for n, t in given.items() if n not in expected],
        "shape": [
            f"{n} {tuple(given[n].shape)} in the file, {tuple(t.shape)} in the network"
            for n, t in expected.items()
            if n in given and given[n].shape != t.shape
        ],
    }
    titles = {"missing": "Missing", "left over": "Left over", "shape": "Of another shape"}
    words = [
        f"{titles[kind]}: {_listed(names)}."
        for kind, names in found.items()
        if names and kind not in init.allow
    ]
    if words:
        raise ValueError(f"{path} does not fit the network. {' '.join(words)} {ADVICE}")


def _listed(names: list[str]) -> str:
    rest = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
