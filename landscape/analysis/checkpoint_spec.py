"""A checkpoint's network, data and loss: named by references, or given as live objects."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from torch import nn

from landscape.analysis import minimum
from landscape.analysis.minimum import Minimum
from landscape.analysis.subject import TrainTestObjective
from landscape.distributed.launch import current, own
from landscape.network.batch import Batch
from landscape.objective.objective import Objective
from landscape.tasks import imports, recorded, registration, user_code, usual_loss
from landscape.tasks.registration import REFERENCE
from landscape.training import read_checkpoint
from landscape.training.run import Run
from landscape.utils.device import device_of
from landscape.utils.paths import PathLike, as_path

EXAMPLES = 1000  # of each split of a checkpoint's data


@dataclass(frozen=True)
class CheckpointSpec:
    """A checkpoint's network, data and loss, put together once for several checkpoints.

    model: a name in MODELS, a reference "file.py:net" to a factory, a factory, or a network,
    which is copied. data: a name in DATA, a reference to a loader, or what a loader answers with,
    see `user_code.data`. loss: a reference or a function (model, batch) -> (); None for
    `usual_loss.chosen_for`. examples: at most, of each split. A run needs none of them.
    parameters: a regular expression; the weights are the parameters in whose name it is found.

    Raises ValueError where a reference cannot be imported.
    """

    model: Any = None
    model_args: Mapping[str, Any] = field(default_factory=dict)
    data: Any = None
    data_args: Mapping[str, Any] = field(default_factory=dict)
    loss: Any = None
    data_dir: PathLike | None = None
    examples: int | None = None
    batch_norm: str | None = None
    device: str | None = None
    parameters: str = ""

    def __post_init__(self) -> None:
        model, arguments = registration.of_library(self.model, self.model_args)
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "model_args", arguments)
        registration.import_named(self.model, self.data, self.loss)

    @property
    def count(self) -> int:
        """Examples of each split of a checkpoint's data, at most."""
        return EXAMPLES if self.examples is None else self.examples

    @cached_property
    def splits(self) -> user_code.Parts:
        """The data, read once for all checkpoints."""
        if isinstance(self.data, str):
            data_dir = as_path(self.data_dir)
            return user_code.data(self.data, self.data_args, data_dir, self.count)
        return user_code.batches_of(self.data, self.count)

    def described(self) -> dict[str, Any]:
        """The settings by name, live objects by their class or function, for records."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {name: _described(values[name]) for name in ("model", "data", "loss")}

    def network(self) -> nn.Module:
        """A network with weights of its own, not yet those of the checkpoint."""
        if isinstance(self.model, nn.Module):
            return deepcopy(self.model)
        if isinstance(self.model, str):
            return user_code.model(self.model, self.model_args)
        return user_code.model_from(self.model, self.model_args)

    def objectives(
        self, path: Path, key: str | None = None
    ) -> tuple[TrainTestObjective, tuple[str, ...]]:
        """A checkpoint on its data, and notes on how it was read.

        Raises ValueError where the model or the data are not given, or the weights do not fit.
        """
        if not path.exists():
            raise ValueError(f"There is no checkpoint {path}.")
        for name, value in (("model", self.model), ("data", self.data)):
            if not _given(value):
                raise ValueError(
                    f"{path} is not one of our runs, so its {name} must be named: "
                    f"--{name} {REFERENCE}."
                )
        network = self.network()
        notes = read_checkpoint.read(path, key).load_into(network).notes
        network = network.to(device_of(self.device or "auto"))
        train, test = (self._objective(network, batches) for batches in vars(self.splits).values())
        return TrainTestObjective(train, test), notes

    def _objective(self, network: nn.Module, batches: list[Batch]) -> Objective:
        if not self.loss:
            loss = usual_loss.chosen_for([*self.splits.train, *self.splits.test])
            batches = usual_loss.weighted(batches)
        else:
            loss = self.loss if callable(self.loss) else user_code.loss(self.loss)
        names = [self.described()[name] for name in ("model", "data", "loss")]
        with imports.errors_attributed_to(names):
            policy = self.batch_norm
            mine, group = own(batches, current())
            return Objective(
                network, mine, loss, batch_norm=policy, parameters=self.parameters, group=group
            )


def objectives_of(
    path: PathLike, spec: CheckpointSpec, *, key: str | None = None, trust: bool = False
) -> tuple[TrainTestObjective, tuple[str, ...]]:
    """A run's or a checkpoint's objectives, and notes on how the weights were read.

    trust: import the user's code that the run refers to.

    Raises ValueError where it is neither, or has not ended.
    """
    path = as_path(path)
    if not is_run(path, spec):
        return spec.objectives(path, key)
    run = _opened(path, spec, key, trust)
    return minimum_of_run(run, spec).objectives, ()


def open_minimum(
    subject: PathLike | Run | Minimum,
    spec: CheckpointSpec,
    *,
    key: str | None = None,
    out: PathLike | None = None,
    trust: bool = False,
) -> Minimum:
    """The minimum of a run, or of a checkpoint with its records in `out`, by default minima/NAME.

    trust: import the user's code that the run refers to.

    Raises ValueError where it is neither, and for options that have no effect on a run.
    """
    if isinstance(subject, Minimum):
        return subject
    given = {f.name: getattr(spec, f.name) for f in fields(spec)}
    if isinstance(subject, Run) or is_run(as_path(subject), spec):
        run = _opened(subject, spec, key, trust, out)
        return replace(minimum_of_run(run, spec), again=partial(reopened, run.path, given))
    path = as_path(subject)
    objectives, notes = spec.objectives(path, key)
    names = {n: v for n, v in spec.described().items() if n in ("model", "data", "loss") and v}
    found = minimum.of_checkpoint(
        objectives,
        Path("minima") / path.stem if out is None else as_path(out),
        examples=spec.count,
        name=path.stem,
        about={"checkpoint": str(path), **names},
        notes=notes,
    )
    return replace(found, again=partial(reopened, path, given, key, out))


def reopened(
    path: Path, spec: Mapping[str, Any], key: str | None = None, out: PathLike | None = None
) -> Minimum:
    """The minimum that another process has opened, whose user named or trusted its code there."""
    return open_minimum(path, CheckpointSpec(**spec), key=key, out=out, trust=True)


def minimum_of_run(run: Run, spec: CheckpointSpec) -> Minimum:
    """The end of a run, with the examples, policy and device of a spec."""
    return minimum.of_run(
        run,
        examples=spec.examples,
        batch_norm=spec.batch_norm,
        data_dir=as_path(spec.data_dir),
        device=spec.device,
        parameters=spec.parameters,
    )


def _opened(
    subject: PathLike | Run,
    spec: CheckpointSpec,
    key: str | None,
    trust: bool,
    out: PathLike | None = None,
) -> Run:
    refuse_options_of_checkpoints(spec, key, out)
    run = subject if isinstance(subject, Run) else Run.open(as_path(subject))
    if trust:
        recorded.trust(run.settings.own)
    return run


def refuse_options_of_checkpoints(
    spec: CheckpointSpec, key: str | None, out: PathLike | None
) -> None:
    """ValueError for options that have no effect on runs."""
    for name, value in (("loss", spec.loss), ("checkpoint-key", key), ("out", out)):
        if _given(value):
            raise ValueError(f"`--{name}` is for checkpoints: it needs --model and --data.")


def is_run(path: Path, spec: CheckpointSpec) -> bool:
    """A folder without a model and data for its weights is read as a run."""
    return path.is_dir() and not _given(spec.model) and not _given(spec.data)


def _given(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value)


def _described(value: Any) -> str | None:
    """A name as it is; a live object by the name of its class or function."""
    if value is None or isinstance(value, str):
        return value
    name = value if hasattr(value, "__qualname__") else type(value)
    return f"{name.__module__}.{name.__qualname__}"
