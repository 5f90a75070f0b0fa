"""A minimum to measure: the end of a run or a checkpoint, and the folder of its records."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from landscape.analysis import reference_points
from landscape.analysis.subject import BESIDE, DATA_OF, TrainTestObjective
from landscape.distributed.launch import current
from landscape.measures.context import fingerprint, settings_of
from landscape.measures.rows.shared_rows import Keep
from landscape.network import batch_norm as bn
from landscape.network.precision import raised
from landscape.network.weights import Weights
from landscape.records import Record, load, load_sound
from landscape.records.variants import files_of, variant
from landscape.training.run import Run
from landscape.utils import manifest
from landscape.utils.files import plain
from landscape.utils.memory import memory_for
from landscape.utils.progress import Listener, Progress, silent

RESUMABLE = ("surface", "profile", "path")  # long ones, asked of the last minimum alone
BUILDS_ON = {"rise_area": "eigenvalues"}  # takes the eigenvectors of
LOWERED = {  # setting of a measure that its memory grows with
    "eigenvalues": "k", "surface": "size", "spectral_density": "steps", "trace": "max_hvps",
}  # fmt: skip
WEIGHTS = "weights"  # entry of a record's provenance: the fingerprint of w


@dataclass(frozen=True, eq=False)
class Minimum:
    """A network's objectives, and the folder that keeps what measures answer there.

    name: for figures and progress. examples: how many were asked for. parameters: the pattern of
    the names of those that are w. provenance: added to that
    of each record. run: the run that ended here; its folder decides the weights and the data, so
    that its records need not be held against them. notes: how the weights were read.
    again: opens it anew, in any process.
    """

    objectives: TrainTestObjective
    folder: Path
    name: str
    examples: int
    batch_norm: str | None
    parameters: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    run: Run | None = None
    notes: tuple[str, ...] = ()
    again: Callable[[], "Minimum"] | None = None

    @property
    def w(self) -> Tensor:
        """The weights, shape (n,)."""
        if self.run is None or self.parameters:
            return self.objectives.w
        return reference_points.final(self.run)

    @property
    def has_two_splits(self) -> bool:
        """Training and test data are different data."""
        if self.run is not None:
            return True
        return self.objectives.train.fingerprint != self.objectives.test.fingerprint

    def path(self, name: str, record: Record | None = None) -> Path:
        """The file of a record: that which holds its variant, else `name`.nc where it is free, else
        one named by the variant. Without a record: that of the first question of a measure.
        """
        first, *others = files_of(self.folder, name)
        if record is None or not self._is_sound(first):
            return first
        sound = [path for path in (first, *others) if self._is_sound(path)]
        same = (path for path in sound if variant(load(path)) == variant(record))
        return next(same, first.with_name(f"{name}-{variant(record)}.nc"))

    def answered(self, name: str, measure: Any) -> Record | None:
        """The record of the same settings, policy and examples; of a checkpoint, also with the same
        data and loss. None where there is none.
        """
        for path in files_of(self.folder, name):
            if self._is_sound(path) and self._answers(path, name, measure):
                return load(path)
        return None

    def _answers(self, path: Path, name: str, measure: Any) -> bool:
        policy = self.policy_of(measure)
        if not is_answered(path, measure, self.examples, policy, self.parameters):
            return False
        if self.run is not None:
            return True
        point, objective = load(path).point, self.objectives.objective(name)
        assert point is not None
        same = math.isclose(point.loss, objective.summary.loss, rel_tol=1e-4)
        return same and point.fingerprint == objective.fingerprint

    def policy_of(self, measure: Any) -> str:
        """The batch-norm policy under which a measure is asked here, unless one was chosen."""
        if self.batch_norm is not None or not getattr(measure, "crosses_minima", False):
            return self.batch_norm or "stored"
        model = self.objectives.train.model if self.run is None else self.run.model()
        return "reestimated" if bn.layers(model) else "stored"

    def answer(
        self,
        name: str,
        measure: Any,
        progress: Listener = silent,
        before: Mapping[str, Record] | None = None,
    ) -> Record:
        """Evaluate a measure here and keep its record.

        before: records of this minimum from the same call, which a measure may build on.
        """
        keep = self.rows_of(name) if splits_into(measure) else None
        return self.keep(name, self.ask(name, measure, keep, progress, before), DATA_OF[name])

    def rows_of(self, name: str) -> Path:
        """The file of a measure's finished rows."""
        return self.folder / "records" / f".{name}.rows"

    def ask(
        self,
        name: str,
        measure: Any,
        keep: Keep = None,
        progress: Listener = silent,
        before: Mapping[str, Record] | None = None,
    ) -> Any:
        """Evaluate a measure here; its record, which is not kept yet. Arguments: see `answer`.

        keep: for the rows of a measure that has any.
        """
        extra: dict[str, Any] = {} if keep is None else {"keep": keep}
        if name in BUILDS_ON and BUILDS_ON[name] in (before or {}):
            extra[BUILDS_ON[name]] = (before or {})[BUILDS_ON[name]]
        if name in BESIDE and self.has_two_splits:
            extra["other"] = self.objectives.on(BESIDE[name])
        tell = counter(progress, label_of(self, name))
        remedy = f"Lower --examples, now {self.examples}"
        if name in LOWERED:
            remedy += f", or {name}.{LOWERED[name]}, now {getattr(measure, LOWERED[name])}"
        with memory_for(f"the measure {name}", f"{remedy}."):
            return measure(self.objectives.objective(name), progress=tell, **extra)

    def keep(self, name: str, record: Any, split: str) -> Record:
        """Save a record, with the split, the number of examples asked for and the provenance."""
        located: dict[str, Any] = {}
        if self.has_two_splits:
            located["point"] = replace(record.point, split=split)
            if name in BESIDE:
                located["other_point"] = {**record.other_point, "split": BESIDE[name]}
        asked = {"examples_asked_for": self.examples}
        signed = {**record.provenance, **self.provenance, **asked}
        kept: Record = replace(record, **located, provenance=signed)
        if current().index != 0:
            return kept  # one writer
        path = self.path(name, kept)
        kept.save(path)
        if self.run is not None:
            self.run.seal_record(path)
        else:
            self._seal(path)
        return kept

    def _is_sound(self, path: Path) -> bool:
        """Test whether a record is there as it was sealed."""
        if self.run is not None:
            return self.run.is_sound(path)
        return path.exists() and path not in load_sound(self.folder)[1]

    def _seal(self, path: Path) -> None:
        """Note the sum of a checkpoint's record; in a folder of an older version those of all."""
        written = {path}
        if not (self.folder / manifest.NAME).exists():
            unsound = load_sound(self.folder)[1]
            written |= {p for p in self.folder.glob("records/*.nc") if p not in unsound}
        manifest.reseal(self.folder, written)


def of_run(
    run: Run,
    *,
    examples: int | None = None,
    batch_norm: str | None = None,
    data_dir: Path | None = None,
    device: str | None = None,
    parameters: str = "",
) -> Minimum:
    """The end of a run; its data are loaded when a measure needs them.

    examples: of each split; default what suits the run's task.
    """
    examples = run.task.examples(examples)
    objective = partial(
        run.objective, examples=examples, batch_norm=batch_norm, data_dir=data_dir, device=device,
        parameters=parameters,
    )  # fmt: skip
    return Minimum(
        TrainTestObjective(partial(objective, "train"), partial(objective, "test")),
        run.path,
        reference_points.label(run),
        examples,
        batch_norm,
        parameters,
        {"run": {**run.identity, "precision": run.settings.training.precision}},
        run,
    )


def of_checkpoint(
    objectives: TrainTestObjective,
    folder: Path,
    *,
    examples: int,
    name: str = "",
    about: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
) -> Minimum:
    """A checkpoint, its records in a folder of their own.

    Raises ValueError where the folder holds records of other weights, as those of a run.
    """
    train = objectives.train
    weights = fingerprint(raised(Weights(train.model).read()))
    sound, unsound = load_sound(folder)
    notes += tuple(f"{p} is damaged or was not finished, and is made anew." for p in unsound)
    if any(record.provenance.get(WEIGHTS) != weights for record in sound.values()):
        raise ValueError(
            f"{folder} holds records of other weights. Choose another --out, or delete it."
        )
    policy, pattern = train.chosen_batch_norm, train.weights.pattern
    signed = {**(about or {}), WEIGHTS: weights}
    label = name or folder.name
    return Minimum(objectives, folder, label, examples, policy, pattern, signed, notes=notes)


def is_answered(
    path: Path, measure: Any, examples: int, batch_norm: str, parameters: str = ""
) -> bool:
    """A record with the same settings, policy, number of examples (or all) and parameters is
    there.
    """
    if not path.exists():
        return False
    record = load(path)
    return (
        record.point is not None
        and plain(record.settings) == plain(settings_of(measure))
        and record.point.batch_norm == batch_norm
        and record.point.parameters == parameters
        and record.provenance.get("examples_asked_for") == examples
    )


def splits_into(measure: Any) -> str:
    """The unit of a measure's rows, each computed by itself: "probes"; "" where it has none."""
    return getattr(measure, "splits_into", "")


def label_of(minimum: Minimum, name: str) -> str:
    """The label of a measure in progress messages."""
    return f"{minimum.name}: {name.replace('_', ' ')}"


def counter(progress: Listener, label: str) -> Callable[[int, int], None]:
    """The progress of a measure, passed to the listener of a command."""
    return lambda done, total: progress(Progress("measure", label, done, total))
