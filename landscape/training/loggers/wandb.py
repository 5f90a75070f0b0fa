"""Scalars for Weights & Biases, in a run's folder `wandb`; sent only where WANDB_MODE says so."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from landscape.utils import files
from landscape.utils.optional import optional

QUIET = {  # settings of wandb: scalars and settings alone; no code, remotes, hardware or output
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "save_code": False,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


class WandB:
    """Scalars and settings of a run for Weights & Biases.

    Offline, unless the environment variable WANDB_MODE is online: `wandb sync` sends them later.
    WANDB_PROJECT names the project, "landscape" by default.

    Offline they are written anew at the start, as for TensorBoard. Online a run goes on under its
    id, and steps that stand there already are left as they are.

    Raises ValueError where Weights & Biases refuses to start, such as without a key.
    """

    folder = "wandb"

    def __init__(self, run: Path, settings: Mapping[str, Any]):
        wandb = self.load()
        folder, mode = run / self.folder, os.environ.get("WANDB_MODE", "offline")
        if mode == "offline":
            for old in folder.glob("offline-run-*"):
                shutil.rmtree(old)
        name = folder / "run_id"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run = wandb.init(
                dir=run,
                id=name.read_text().strip() if name.exists() else None,
                resume=None if mode == "offline" else "allow",
                reinit="create_new",
                project=os.environ.get("WANDB_PROJECT", "landscape"),
                name=run.resolve().name,
                config=dict(settings),
                settings=wandb.Settings(mode=mode, silent=mode == "offline", **QUIET),
            )
        except wandb.errors.Error as error:
            raise ValueError(f"wandb does not start: {files.one_line(error)}.") from None
        files.write(name, self._run.id + "\n")
        self._remove_links_out()

    @staticmethod
    def load() -> ModuleType:
        """Import the library; ValueError where it is missing (the extra `wandb`)."""
        return optional("wandb", "wandb")

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Add the scalars of a step that is not behind those already there."""
        if step >= self._run.step:
            self._run.log(dict(scalars), step=step)

    def close(self, completed: bool) -> None:
        """Finish the run."""
        self._run.finish(exit_code=0 if completed else 1)
        self._remove_links_out()

    def _remove_links_out(self) -> None:
        """Remove the link to wandb's own log: a run's folder must not lead out of itself."""
        (Path(self._run.dir).parent / "logs" / "debug-core.log").unlink(missing_ok=True)
