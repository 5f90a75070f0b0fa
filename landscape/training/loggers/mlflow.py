"""Scalars for MLflow, in a run's folder `mlflow` or where MLFLOW_TRACKING_URI says."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from landscape.utils import files
from landscape.utils.optional import optional

DEFAULTS = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # newer versions ask for it
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class MLflow:
    """Scalars and settings of a run for MLflow.

    They lie in the run's folder, unless the environment variable MLFLOW_TRACKING_URI names another
    place. MLFLOW_EXPERIMENT_NAME names the experiment, "landscape" by default.

    A run goes on under its id, and steps that stand there already are left as they are.

    Raises ValueError where MLflow refuses to start, such as without its server.
    """

    folder = "mlflow"

    def __init__(self, run: Path, settings: Mapping[str, Any]):
        folder = run / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        place = os.environ.get("MLFLOW_TRACKING_URI") or folder.resolve().as_uri()
        self._mlflow = self.load()
        with _environment(DEFAULTS):
            try:
                self._client = self._mlflow.MlflowClient(tracking_uri=place)
                self._id = self._known(folder / "run_id") or self._new(run, settings)
            except self._mlflow.exceptions.MlflowException as error:
                raise ValueError(f"mlflow does not start: {files.one_line(error)}.") from None
        files.write(folder / "run_id", self._id + "\n")
        self._there = {
            (name, metric.step)
            for name in self._client.get_run(self._id).data.metrics
            for metric in self._client.get_metric_history(self._id, name)
        }

    @staticmethod
    def load() -> ModuleType:
        """Import the library; ValueError where it is missing (the extra `mlflow`)."""
        with _environment(DEFAULTS):
            return optional("mlflow", "mlflow")

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Add the scalars of a step that are not there yet."""
        now = int(1000 * time.time())  # milliseconds
        metrics = [
            self._mlflow.entities.Metric(name, value, now, step)
            for name, value in scalars.items()
            if (name, step) not in self._there
        ]
        if metrics:
            self._client.log_batch(self._id, metrics=metrics)

    def close(self, completed: bool) -> None:
        """Say how the run ended."""
        self._client.set_terminated(self._id, "FINISHED" if completed else "KILLED")

    def _known(self, kept: Path) -> str | None:
        """Id of the run that the folder names, if the place has it."""
        if not kept.exists():
            return None
        try:
            known: str = self._client.get_run(kept.read_text().strip()).info.run_id
        except self._mlflow.exceptions.MlflowException:  # another place than before
            return None
        self._client.update_run(known, status="RUNNING")
        return known

    def _new(self, run: Path, settings: Mapping[str, Any]) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "landscape")
        experiment = self._client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(name)
        new: str = self._client.create_run(number, run_name=run.resolve().name).info.run_id
        for key, value in files.flat(settings).items():
            self._client.log_param(new, key, value)
        return new


@contextmanager
def _environment(defaults: Mapping[str, str]) -> Iterator[None]:
    """Set variables that the environment does not set, for as long as it is open."""
    added = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
