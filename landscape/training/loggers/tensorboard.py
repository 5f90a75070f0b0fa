"""Scalars for TensorBoard, in a run's folder `tensorboard`."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from landscape.utils.optional import optional


class TensorBoard:
    """Scalars as TensorBoard's events.

    They are written anew at the start, so that what an interrupted run had written beyond its
    checkpoint is gone and no step stands there twice.
    """

    folder = "tensorboard"

    def __init__(self, run: Path, settings: Mapping[str, Any]):
        folder = run / self.folder
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = self.load().SummaryWriter(folder)

    @staticmethod
    def load() -> ModuleType:
        """Import the library; ValueError where it is missing (the extra `track`)."""
        optional("tensorboard", "track")
        return optional("torch.utils.tensorboard", "track")

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Add the scalars of a step."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self, completed: bool) -> None:
        """Close the file."""
        self._writer.close()
