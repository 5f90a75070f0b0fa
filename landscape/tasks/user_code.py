"""The user's own network, data and loss, from the names that the user gave."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from landscape.data import DATA, DataSet
from landscape.data.dataset import check_finite
from landscape.models import MODELS
from landscape.network.batch import Batch, LossFn, as_batch
from landscape.tasks import imports
from landscape.tasks.losses import LOSSES
from landscape.tasks.usual_loss import usual_loss
from landscape.utils.names import canonical
from landscape.utils.rng import seeded

Made = TypeVar("Made")
CPU = torch.device("cpu")
AT_ONCE = 256  # examples per batch where the data come as whole tensors


@dataclass(frozen=True)
class Parts:
    """Batches for curvature (`train`) and for robustness (`test`); the same where there is one."""

    train: list[Batch]
    test: list[Batch]


def model(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network from a name in MODELS or from the user's factory, which may be a class.

    Raises ValueError where it is no torch module.
    """
    if imports.is_reference(name):
        return _network(name, imports.called(name, arguments))
    return _network(name, _ours("model", name, MODELS, arguments))


def model_from(factory: Callable[..., Any], arguments: Mapping[str, Any]) -> nn.Module:
    """A network from a factory or class; ValueError where it is no torch module."""
    if not callable(factory):
        raise ValueError(
            f"`model` must be a torch.nn.Module, or a function or name that makes one. "
            f"Got {type(factory).__name__}."
        )
    name = getattr(factory, "__name__", "model")
    imports.check_arguments(factory, name, arguments)
    return _network(name, factory(**arguments))


def _network(name: str, network: Any) -> nn.Module:
    if not isinstance(network, nn.Module):
        raise ValueError(f"{name} must make a torch.nn.Module. Got {type(network).__name__}.")
    return network


def data_set(name: str, arguments: Mapping[str, Any], data_dir: Path | None) -> DataSet:
    """Data to train on, from a name in DATA or from the user's loader.

    A loader answers with a `DataSet`, with {"train": ..., "test": ...}, each a pair of tensors or
    batches of such, or with four tensors (train_x, train_y, test_x, test_y).

    What torch's random numbers decide in it, as the order of a loader that shuffles, is the same
    in every process.

    Raises ValueError where one of them is missing or is no tensor.
    """
    if not imports.is_reference(name):
        return _ours("data set", name, DATA, arguments, data_dir)
    with seeded(0, CPU):
        return _data_set(name, arguments)


def _data_set(name: str, arguments: Mapping[str, Any]) -> DataSet:
    loaded = imports.called(name, arguments)
    if isinstance(loaded, DataSet):
        return loaded
    if isinstance(loaded, tuple | list) and len(loaded) == 4:
        loaded = {"train": (loaded[0], loaded[1]), "test": (loaded[2], loaded[3])}
    if not isinstance(loaded, Mapping) or not {"train", "test"} <= set(loaded):
        raise ValueError(
            f'{name} must answer with {{"train": (x, y), "test": (x, y)}} to train on. '
            f"Got {type(loaded).__name__}."
        )
    train_x, train_y = _joined(loaded["train"], name)
    test_x, test_y = _joined(loaded["test"], name)
    real = train_y.is_floating_point()
    largest = 0 if real else int(max(y.max() for y in (train_y, test_y) if y.numel()))
    classes = 0 if real else 1 + max(0, largest)
    try:
        return DataSet(name, train_x, train_y, test_x, test_y, classes)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _joined(split: Any, name: str) -> tuple[Any, Tensor]:
    """All examples of a split: a tensor or a mapping of tensors, and the targets."""
    pieces = [as_batch(split)] if _is_whole(split) else [as_batch(item) for item in split]
    for value in (t for batch in pieces for t in (*_values(batch.x), batch.y)):
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{name}: to train from the command line, x must be a tensor or a mapping of "
                "tensors, and y a tensor. "
                f"Got {type(value).__name__}. In your own loop, landscape.optim.wrap takes any."
            )
    if not any(batch.size for batch in pieces):
        raise ValueError(f"{name} has no examples: is the data empty?")
    try:
        x, y = (_cat([getattr(batch, part) for batch in pieces]) for part in ("x", "y"))
    except (RuntimeError, KeyError) as error:
        raise ValueError(
            f"{name}: batches must have the same keys, and examples of one shape: pad them to one "
            f"length. Got: {next(iter(str(error).splitlines()))}"
        ) from None
    return x, y if y.is_floating_point() else y.long()


def _values(x: Any) -> list[Any]:
    return list(x.values()) if isinstance(x, Mapping) else [x]


def _cat(parts: list[Any]) -> Any:
    """All rows of tensors, or of mappings of tensors, in one."""
    if isinstance(parts[0], Mapping):
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    return torch.cat(parts)


def data(name: str, arguments: Mapping[str, Any], data_dir: Path | None, examples: int) -> Parts:
    """At most `examples` of each part, from a name in DATA or from the user's loader.

    A loader answers with batches (a DataLoader, a list: `Batch`es, pairs, dicts), with one pair of
    whole tensors (x, y), with a `DataSet`, or with {"train": ..., "test": ...} of these. A loader
    that shuffles gives the same examples each time.

    Raises ValueError where there is no example.
    """
    with seeded(0, CPU):
        if imports.is_reference(name):
            return _parts(imports.called(name, arguments), examples, name)
        return _parts(data_set(name, arguments, data_dir), examples, name)


def batches_of(given: Any, examples: int) -> Parts:
    """At most `examples` of each part, from what a loader of `data` answers with.

    Raises ValueError where there is no example.
    """
    with seeded(0, CPU):
        return _parts(given() if callable(given) else given, examples, "data")


def _parts(loaded: Any, examples: int, name: str) -> Parts:
    if isinstance(loaded, DataSet):
        loaded = {
            "train": (loaded.train_x, loaded.train_y),
            "test": (loaded.test_x, loaded.test_y),
        }
    if isinstance(loaded, Mapping) and "test" in loaded:
        test = _taken(loaded["test"], examples, name)
        return Parts(_taken(loaded["train"], examples, name) if "train" in loaded else test, test)
    same = _taken(loaded, examples, name)
    return Parts(same, same)


def loss(name: str) -> LossFn:
    """A loss (model, batch) -> () by its name in LOSSES or a reference; `usual_loss` for ""."""
    if not name:
        return usual_loss
    if name in LOSSES:
        return LOSSES[name]
    loaded = imports.imported(name)
    if not callable(loaded):
        raise ValueError(f"{name} must be a function of (model, batch).")
    return loaded


def _taken(loaded: Any, examples: int, name: str) -> list[Batch]:
    """The first batches, up to so many examples; of whole tensors a fixed random choice."""
    if _is_whole(loaded):
        whole = as_batch(loaded)
        rows = torch.randperm(whole.size, generator=torch.Generator().manual_seed(0))[:examples]
        pieces = whole.rows(rows).shards(-(-len(rows) // AT_ONCE)) if len(rows) else []
    else:
        if not isinstance(loaded, Iterable):
            raise ValueError(
                f"{name} must answer with batches or a pair of tensors. "
                f"Got {type(loaded).__name__}."
            )
        pieces, count = [], 0
        for item in loaded:
            batch = as_batch(item)
            if batch.size:
                pieces.append(batch.rows(slice(examples - count)))
                count += pieces[-1].size
            if count >= examples:
                break
    if not pieces:
        raise ValueError(f"{name} has no examples: is the data empty?")
    for i, batch in enumerate(pieces, 1):
        check_finite(f"batch {i} of {name}", batch.x)
    return pieces


def _ours(
    kind: str,
    name: str,
    known: Mapping[str, Callable[..., Made]],
    arguments: Mapping[str, Any],
    *first: Any,
) -> Made:
    """Call a factory of a registry with keywords that it is seen to take."""
    factory = known[canonical(kind, name, known)]
    imports.check_arguments(factory, name, arguments, *first)
    return factory(*first, **arguments)


def _is_whole(loaded: Any) -> bool:
    """Test whether it is one batch itself: a `Batch` or a pair of tensors."""
    pair = isinstance(loaded, tuple | list) and len(loaded) == 2
    return isinstance(loaded, Batch) or (pair and all(isinstance(t, Tensor) for t in loaded))
