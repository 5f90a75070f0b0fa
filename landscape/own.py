"""The user's own network, data and loss, as an audit needs them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape import checkpoints, references
from landscape.audit import Subject
from landscape.batch import Batch, LossFn, as_batch
from landscape.data import DATA, DataSet
from landscape.models import MODELS
from landscape.names import look_up
from landscape.objective import Objective
from landscape.runs import Run
from landscape.training.loop import device_of

AT_ONCE = 256  # examples per batch where the data come as whole tensors


@dataclass(frozen=True)
class Sources:
    """Where a checkpoint's network, data and loss come from, as a command line names them.

    model, data: a name of ours, or a reference; "" for those of a run. loss: a reference, or ""
    for `usual_loss`. examples: at most, of each part.
    """

    model: str = ""
    model_args: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    data_args: Mapping[str, Any] = field(default_factory=dict)
    loss: str = ""
    data_dir: Path | None = None
    examples: int = 1000
    batch_norm: str = "stored"
    device: str | None = None

    @cached_property
    def parts(self) -> "Parts":
        """The data, read once for all checkpoints."""
        return data(self.data, self.data_args, self.data_dir, self.examples)

    def described(self) -> dict[str, Any]:
        """The settings by name, for the audit's record."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def subject(self, path: Path, key: str | None = None) -> tuple[Subject, tuple[str, ...]]:
        """A checkpoint on its data, and notes on how it was read.

        Raises ValueError where the model or the data of a foreign checkpoint are not named.
        """
        if path.is_dir() and not self.model and not self.data:
            return self._of_run(Run.open(path)), ()
        for name, value in (("model", self.model), ("data", self.data)):
            if not value:
                raise ValueError(
                    f"{path} is not one of our runs, so its {name} must be named: "
                    f"--{name} pkg.mod:name or file.py:name."
                )
        network = model(self.model, self.model_args)
        notes = checkpoints.read(path, key).load_into(network).notes
        network = network.to(device_of(self.device or "auto")).eval()
        train, test = (self._objective(network, part) for part in vars(self.parts).values())
        return Subject(train, test), notes

    def _objective(self, network: nn.Module, part: list[Batch]) -> Objective:
        return Objective(network, part, loss(self.loss), batch_norm=self.batch_norm)

    def _of_run(self, run: Run) -> Subject:
        train, test = (
            run.objective(
                which,
                examples=self.examples,
                batch_norm=self.batch_norm,
                data_dir=self.data_dir,
                device=self.device,
            )
            for which in ("train", "test")
        )
        return Subject(train, test)


@dataclass(frozen=True)
class Parts:
    """Batches for curvature (`train`) and for robustness (`test`); the same where there is one."""

    train: list[Batch]
    test: list[Batch]


def model(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network from a name in MODELS or from the user's factory, which may be a class.

    Raises ValueError where it is no torch module.
    """
    if references.is_reference(name):
        made = references.called(name, arguments)
    else:
        made = look_up("model", name, MODELS)(**arguments)
    if not isinstance(made, nn.Module):
        raise ValueError(f"{name} must make a torch.nn.Module. Got {type(made).__name__}.")
    return made


def data(name: str, arguments: Mapping[str, Any], data_dir: Path | None, examples: int) -> Parts:
    """At most `examples` of each part, from a name in DATA or from the user's loader.

    A loader answers with batches (a DataLoader, a list: `Batch`es, pairs, dicts), with one pair of
    whole tensors (x, y), with a `DataSet`, or with {"train": ..., "test": ...} of these.

    Raises ValueError where there is no example.
    """
    if references.is_reference(name):
        found = references.called(name, arguments)
    else:
        found = look_up("data set", name, DATA)(data_dir)
    if isinstance(found, DataSet):
        found = {
            "train": (found.train_x, found.train_y),
            "test": (found.test_x, found.test_y),
        }
    if isinstance(found, Mapping) and "test" in found:
        test = _taken(found["test"], examples, name)
        return Parts(_taken(found["train"], examples, name) if "train" in found else test, test)
    part = _taken(found, examples, name)
    return Parts(part, part)


def loss(name: str) -> LossFn:
    """The user's loss (model, batch) -> (), or `usual_loss`."""
    if not name:
        return usual_loss
    found = references.imported(name)
    if not callable(found):
        raise ValueError(f"{name} must be a function of (model, batch).")
    return found


def answer(network: nn.Module, x: Any) -> Any:
    """What a network says to an input; a mapping is passed as keywords, as tokenizers give it."""
    return network(**x) if isinstance(x, Mapping) else network(x)


def usual_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy with integer targets, mean squared error with real ones, shape ().

    Where the model's answer has a loss itself (Hugging Face's do, given labels), that one. Logits
    have the classes last; targets below zero are left out.

    Raises ValueError where neither fits.
    """
    out = answer(network, batch.x)
    own, z, y = getattr(out, "loss", None), getattr(out, "logits", out), batch.y
    if isinstance(own, Tensor):
        return own
    if not isinstance(z, Tensor):
        what = f"a {type(out).__name__}" + (
            f" with {', '.join(map(str, out))}" if isinstance(out, Mapping) else ""
        )
        raise ValueError(f"The model answers with {what}, not with a tensor: give a --loss.")
    if not isinstance(y, Tensor):
        raise ValueError(f"The targets are a {type(y).__name__}, not a tensor: give a --loss.")
    if y.is_floating_point() and z.numel() == y.numel():
        return F.mse_loss(z.reshape(y.shape), y)
    if y.is_floating_point() or z.shape[:-1] != y.shape:
        raise ValueError(
            f"The model's answer {tuple(z.shape)} and the targets {tuple(y.shape)} of "
            f"{str(y.dtype).removeprefix('torch.')} fit no usual loss: give a --loss."
        )
    z, y = z.flatten(0, -2), y.flatten().long()
    if int(y.max()) >= z.shape[1]:
        raise ValueError(
            f"The targets go up to {int(y.max())}, but the model has {z.shape[1]} classes: "
            f"targets must be in [0, {z.shape[1]})."
        )
    return F.cross_entropy(z, y.where(y >= 0, -100))


def _taken(found: Any, examples: int, name: str) -> list[Batch]:
    """The first batches, up to so many examples; of whole tensors a fixed random choice."""
    if _is_whole(found):
        whole = as_batch(found)
        rows = torch.randperm(whole.size, generator=torch.Generator().manual_seed(0))[:examples]
        pieces = whole.rows(rows).shards(-(-len(rows) // AT_ONCE)) if len(rows) else []
    else:
        if not isinstance(found, Iterable):
            raise ValueError(
                f"{name} must answer with batches or a pair of tensors. Got {type(found).__name__}."
            )
        pieces, count = [], 0
        for item in found:
            batch = as_batch(item)
            if batch.size:
                pieces.append(batch.rows(slice(examples - count)))
                count += pieces[-1].size
            if count >= examples:
                break
    if not pieces:
        raise ValueError(f"{name} has no examples: is the data empty?")
    return pieces


def _is_whole(found: Any) -> bool:
    """Whether it is one batch itself: a `Batch` or a pair of tensors."""
    pair = isinstance(found, tuple | list) and len(found) == 2
    return isinstance(found, Batch) or (pair and all(isinstance(t, Tensor) for t in found))
