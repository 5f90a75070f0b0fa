"""Cell of a study: train and measure one method with one seed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from landscape.analysis.analyze import analyze
from landscape.tasks.imports import allow
from landscape.tasks.registration import UserCode, register
from landscape.training.run import Run
from landscape.training.settings import Settings
from landscape.training.train import settings_for, train
from landscape.utils import files
from landscape.utils.progress import Listener, Progress


@dataclass(frozen=True)
class Cell:
    """Method with one seed: what to train, what to measure, and where to store it.

    measures: none where it is only trained. title: what progress calls it, if not "sam, seed 0".
    own: the user's own code, registered in the process that shares out the work. after: of a
    sequence the task after which alone it is measured.
    """

    task: str
    method: str
    seed: int
    path: Path
    overrides: Mapping[str, Mapping[str, Any]]
    measures: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]
    examples: int
    batch_norm: str
    data_dir: Path | None
    title: str = ""
    own: UserCode = field(default_factory=UserCode)
    after: int | None = None

    @property
    def label(self) -> str:
        """Label of a cell in progress messages; unique among cells that run at the same time."""
        return self.title or f"{self.method}, seed {self.seed}"

    @property
    def device(self) -> str:
        """Device as the settings name it."""
        settings = settings_for(self.task, self.method, self.seed, self.overrides)
        return settings.training.device

    def run(self, progress: Listener) -> Run:
        """Train and measure; what is finished already is not done again."""

        def tell(message: Progress) -> None:
            label = message.label.replace(f"{self.method}, seed {self.seed}", self.label, 1)
            progress(replace(message, label=label))

        allow(self.own.references)
        register(self.own)
        run = train(
            self.task,
            self.method,
            self.seed,
            self.path,
            settings=self.overrides,
            data_dir=self.data_dir,
            resume=True,
            progress=tell,
        )
        if run.status["state"] == "finished" and self.measures:
            analyze(
                run,
                self.measures,
                examples=self.examples,
                batch_norm=self.batch_norm,
                options=self.options,
                data_dir=self.data_dir,
                after=self.after,
                progress=tell,
            )
        return run


def cell_folder(parent: Path, settings: Settings) -> Path:
    """Folder of a cell: its name ends in a hash of the settings that determine its files."""
    content = files.plain(settings.to_dict())
    if not content["data"]["label_noise"]:
        del content["data"]["label_noise"]  # so that folders from before there was any are found
    if not content["training"]["measure_every"]:
        for name in ("measure_every", "measure_examples", "measure_batch_norm"):
            del content["training"][name]
    for name in ("groups", "optimizer_args", "schedule_args"):  # likewise
        if not content["training"][name]:
            del content["training"][name]
    if content["training"]["evaluate_every"] == 1:
        del content["training"]["evaluate_every"]
    if content["training"]["stop_at_loss"] is None:
        del content["training"]["stop_at_loss"]
    if not content["training"]["compile"]:
        del content["training"]["compile"]
    if content["training"]["ascent"] == "global":
        del content["training"]["ascent"]
    if content["training"]["schedule_unit"] == "epoch":
        del content["training"]["schedule_unit"]
    if not content["own"]:
        del content["own"]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return parent / f"{settings.method}-seed{settings.seed}-{key[:8]}"
