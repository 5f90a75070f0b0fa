"""A checkpoint on its data, put together from what a command line names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from landscape.analysis import read_checkpoint
from landscape.analysis.subject import Subject
from landscape.network.batch import Batch
from landscape.objective.objective import Objective
from landscape.tasks import imports, user_code
from landscape.training.run import Run
from landscape.utils.device import device_of


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
    def parts(self) -> user_code.Parts:
        """The data, read once for all checkpoints."""
        return user_code.data(self.data, self.data_args, self.data_dir, self.examples)

    def described(self) -> dict[str, Any]:
        """The settings by name, for the audit's record."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def subject(self, path: Path, key: str | None = None) -> tuple[Subject, tuple[str, ...]]:
        """A checkpoint on its data, and notes on how it was read.

        Raises ValueError where the model or the data of a foreign checkpoint are not named.
        """
        if not path.exists():
            raise ValueError(f"There is no checkpoint {path}.")
        if path.is_dir() and not self.model and not self.data:
            return self._of_run(Run.open(path)), ()
        for name, value in (("model", self.model), ("data", self.data)):
            if not value:
                raise ValueError(
                    f"{path} is not one of our runs, so its {name} must be named: "
                    f"--{name} pkg.mod:name or file.py:name."
                )
        network = user_code.model(self.model, self.model_args)
        notes = read_checkpoint.read(path, key).load_into(network).notes
        network = network.to(device_of(self.device or "auto")).eval()
        train, test = (self._objective(network, part) for part in vars(self.parts).values())
        return Subject(train, test), notes

    def _objective(self, network: nn.Module, part: list[Batch]) -> Objective:
        loss = user_code.loss(self.loss)
        with imports.errors_attributed_to((self.model, self.data, self.loss)):
            return Objective(network, part, loss, batch_norm=self.batch_norm)

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
