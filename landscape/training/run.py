"""A run is a folder: settings, environment, metrics, weights, records.

settings.json        what decided the numbers      environment.json  where they were computed
metrics.jsonl, .csv  one line per epoch            status.json       running, finished, ...
weights.safetensors  at the end                    snapshots/        along the way, if asked for
lifelong.jsonl, .csv    of a sequence of tasks         tasks/            weights after each of them
displacement.json    how far each parameter went from given weights
checkpoint.pt        while it is unfinished        records/          what measures answered
sharpness.jsonl, .csv   along the way, if asked for    tensorboard/, wandb/, mlflow/  likewise
manifest.json        SHA-256 of the above, when finished; a run without it is unfinished
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from landscape import records
from landscape.data import DataSet
from landscape.distributed.launch import current, enough, own
from landscape.lifelong.heads import logits_of
from landscape.objective.objective import Objective
from landscape.tasks import recorded
from landscape.tasks.imports import is_reference
from landscape.tasks.registry import Task
from landscape.training import checkpoint, tables
from landscape.training.parameter_groups import freeze
from landscape.training.settings import Settings
from landscape.training.stage import examples_of, tests_by_task, untrained
from landscape.training.table_records import records_of_tables
from landscape.utils import files, manifest
from landscape.utils.device import device_of
from landscape.utils.paths import PathLike, as_path, refuse_links_out

WEIGHTS = "weights.safetensors"
ENDED = ("finished", "diverged")
ESSENTIAL = ("settings.json", WEIGHTS, "metrics.jsonl")  # sealed in every ended run

SETTINGS: dict[str, type] = {
    "task": str, "method": str, "seed": int, "data": dict, "training": dict, "methods": dict,
}  # fmt: skip


class Run:
    """A run's folder, read."""

    def __init__(self, path: PathLike):
        self.path = as_path(path)
        if not (self.path / "settings.json").is_file():
            raise ValueError(f"{self.path} is not a run: it has no settings.json.")
        refuse_links_out(self.path)
        try:
            tree = files.read_object(self.path / "settings.json", **SETTINGS)
            self.settings = Settings.from_dict(tree)
            own = self.settings.own
            recorded.check_names(self.settings.task, self.settings.method, own)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            if str(self.path / "settings.json") in str(error):
                raise
            raise ValueError(
                f"{self.path}/settings.json is not a run's settings: {files.one_line(error)}."
            ) from None

    def __repr__(self) -> str:
        s = self.settings
        return f"Run({s.method} on {s.task}, seed {s.seed}, {self.status['state']}: {self.path})"

    @classmethod
    def open(cls, path: PathLike) -> "Run":
        """A run that has ended, its files checked against their sums.

        Raises ValueError where the folder is no run, has not ended, or is damaged.
        """
        run = cls(path)
        if not run.has_ended:
            raise ValueError(
                f"{run.path} has not finished (it is {run.status['state']}). "
                "Go on with landscape train ... --resume."
            )
        run.verify()
        return run

    @property
    def status(self) -> dict[str, Any]:
        """state: running, interrupted, diverged or finished; epoch: the last whole one.

        A run that was killed before its files were sealed has not finished, whatever it says.
        """
        path = self.path / "status.json"
        if not path.exists():
            return {"state": "running", "epoch": 0}
        status = files.read_object(path, state=str, epoch=int)
        if status["state"] in ENDED and not set(ESSENTIAL) <= set(manifest.read(self.path)):
            status["state"] = "interrupted"
        return status

    @property
    def has_ended(self) -> bool:
        """Test whether the run was trained to its end, or diverged."""
        return self.status["state"] in ENDED

    @property
    def task(self) -> Task:
        """The task that was trained.

        Raises ValueError where it refers to what `landscape.tasks.recorded` lets no folder name.
        """
        return recorded.task_of(self.settings.task, self.settings.own)

    @property
    def score(self) -> str:
        """Name of what the accuracies are; a task that needs trust is not asked."""
        try:
            return self.task.score.name
        except ValueError:
            return "accuracy"

    @property
    def metrics(self) -> list[dict[str, float]]:
        """Read one row per epoch; row 0 is before the first step. Null reads as NaN.

        Raises ValueError where there is none, or a line is damaged.
        """
        rows = tables.read(self.path / "metrics.jsonl")
        if not rows:
            raise ValueError(f"{self.path}/metrics.jsonl is damaged: it holds no rows.")
        return rows

    def verify(self) -> None:
        """Check the files that decide the run's numbers; records are checked when they are read.

        Raises ValueError where one differs from what was written.
        """
        for name, expected in manifest.read(self.path).items():
            path = self.path / name
            if path.parent.name == "records":
                continue
            if not path.is_file():
                raise ValueError(f"{path} is missing. Train the run again, into an empty folder.")
            if files.sha256(path) != expected:
                raise ValueError(
                    f"{path} is damaged: its checksum differs. Restore it, or delete the folder "
                    "and train the run again."
                )

    def seal_record(self, path: Path) -> None:
        """Note the sum of a record that was just written."""
        manifest.seal(self.path, [path])

    def is_sound(self, path: Path) -> bool:
        """Test whether a record is there, complete, and has the sealed checksum."""
        name = path.relative_to(self.path).as_posix()
        return manifest.is_sound(self.path, name, manifest.read(self.path))

    def model(self, after: int | None = None) -> nn.Module:
        """The network at its final weights, on the CPU, its frozen parts as in training.

        after: of a sequence of tasks the number of one, from 1: the weights after it.
        """
        path = (self.path if after is None else task_folder(self.path, after)) / WEIGHTS
        with torch.random.fork_rng():
            model = untrained(self.settings, self.task)
        checkpoint.load_into(model, checkpoint.load_tensors(path), path)
        freeze(model, self.settings.training.groups)
        return model

    def objective(
        self,
        which: str = "train",
        *,
        examples: int | None = None,
        batch_norm: str | None = None,
        data_dir: PathLike | None = None,
        device: str | None = None,
        parameters: str = "",
        after: int | None = None,
    ) -> Objective:
        """The task's plain loss around the final weights.

        which: "train" (the part that was trained on, with the labels, noisy or not, that were
        trained on, without augmentation) or "test".
        examples: how many, chosen at random but the same ones for every run of a seed; all of
        them where there are fewer; default what suits the task.
        batch_norm, parameters: as `Objective` takes them.
        after: as in `model`, on examples of the tasks up to it.

        Raises ValueError for an unknown part.
        """
        if which not in ("train", "test"):
            raise ValueError(f"`which` must be train or test. Got {which!r}.")
        examples = self.task.examples(examples)
        if examples < 1:
            raise ValueError(f"`examples` must be at least 1. Got {examples}.")
        dataset = self._dataset(as_path(data_dir))
        part = examples_of(self.settings, dataset, which, after)
        model = self.model(after).to(device_of(device or self.settings.training.device))
        pieces = self.task.pieces(part, examples, self.settings.data.batch_size)
        if not self.task.takes_whole_batches:
            pieces = enough(pieces, current())
        mine, group = own(pieces, current())
        return Objective(
            model, mine, self.task.plain_loss, logits=logits_of(self.settings.lifelong),
            batch_norm=batch_norm, parameters=parameters, group=group,
        )  # fmt: skip

    def objective_on_task(
        self, task: int, *, data_dir: PathLike | None = None, device: str | None = None
    ) -> Objective:
        """The plain loss on all tests of one task, from 1, around the weights after it.

        It is for points between the weights after two tasks.
        """
        tests = tests_by_task(self.settings, self._dataset(as_path(data_dir)))
        model = self.model(task).to(device_of(device or self.settings.training.device))
        test = tests[task - 1]
        pieces = self.task.pieces(test, test.size, self.settings.data.batch_size)
        logits = logits_of(self.settings.lifelong)
        return Objective(model, pieces, self.task.plain_loss, logits=logits).between_minima()

    @property
    def unsound(self) -> list[Path]:
        """Records that are damaged, or were not finished; `records` leaves them out."""
        sums, paths = manifest.read(self.path), sorted(self.path.glob("records/*.nc"))
        names = {path: path.relative_to(self.path).as_posix() for path in paths}
        return [p for p, name in names.items() if not manifest.is_sound(self.path, name, sums)]

    def records(self) -> dict[str, records.Record]:
        """Records by kind, those that the metrics make among them."""
        unsound = self.unsound
        sound = [p for p in sorted(self.path.glob("records/*.nc")) if p not in unsound]
        found = records.by_name({path.stem: records.load(path) for path in sound})
        made = records_of_tables(self.path, self.metrics, self._environment, self.score)
        settings, environment = self.settings.to_dict(), self._environment
        signed = (replace(r, settings=settings, provenance=environment) for r in made)
        return {record.kind: record for record in signed} | found

    @property
    def _environment(self) -> dict[str, Any]:
        required = {"data_fingerprint": str}
        return files.read_object(self.path / "environment.json", **required)

    @property
    def data_note(self) -> str:
        """Note that the data's files are not the published ones."""
        note: str = self._environment.get("data_note", "")
        return note

    @property
    def eager_because(self) -> str:
        """Reason why `training.compile` had no effect; "" where it had, or was not set."""
        reason: str = self._environment.get("compilation", {}).get("reason", "")
        return reason

    @property
    def identity(self) -> dict[str, Any]:
        """Which run it is, among others: task, method, seed, fingerprint of the data set."""
        s = self.settings
        data = self._environment["data_fingerprint"]
        return {"task": s.task, "method": s.method, "seed": s.seed, "data_fingerprint": data}

    def _dataset(self, data_dir: Path | None) -> DataSet:
        """The data in a folder, by default in the one that the run records.

        Raises ValueError where the recorded folder holds other data than the run was trained on.
        """
        place = self._environment.get("data_dir")
        if data_dir is not None or not place or is_reference(self.task.data):
            return load_data(self.task, data_dir)
        dataset = load_data(self.task, Path(place))
        if dataset.fingerprint != self._environment["data_fingerprint"]:
            raise ValueError(
                f"{place}, which {self.path} records as the folder of its data, holds other data. "
                "Name the right folder with --data-dir."
            )
        return dataset


def task_folder(run: Path, task: int) -> Path:
    """Folder of what a run keeps of a task of its sequence, from 1."""
    return run / "tasks" / f"task-{task:02d}"


def has_ended(folder: Path) -> bool:
    """A run is there that is finished, or diverged."""
    there = (folder / "settings.json").is_file()
    return there and Run(folder).status["state"] in ("finished", "diverged")


_loaded: dict[tuple[str, str, Path | None], DataSet] = {}


def load_data(task: Task, data_dir: Path | None) -> DataSet:
    """A task's data, the last two kept in memory between calls."""
    where = str(Path.cwd()) if is_reference(task.data) else ""
    key = f"{where} {task.data}", repr(task.data_settings), data_dir
    if key not in _loaded:
        found = task.load(data_dir)
        for old in list(_loaded)[:-1]:
            del _loaded[old]
        _loaded[key] = found
    return _loaded[key]
