"""A run's rows as scalars, handed to loggers as the rows grow."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from landscape.training.loggers.mlflow import MLflow
from landscape.training.loggers.tensorboard import TensorBoard
from landscape.training.loggers.wandb import WandB
from landscape.training.tables import Row
from landscape.utils.names import canonical


@runtime_checkable
class Logger(Protocol):
    """Receiver of scalars.

    Whenever a run starts or goes on, it gets all steps from the first one, in ascending order. A
    step may come twice in a row, with other names.
    """

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Keep finite numbers by name, such as "loss/test", after `step` steps of training."""

    def close(self, completed: bool) -> None:
        """Finish; `completed` tells a training at its end from one that stopped before it."""


LOGGERS: dict[str, type[TensorBoard] | type[WandB] | type[MLflow]] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "mlflow": MLflow,
}
Choice = str | Logger | Sequence[str | Logger]


def loggers_of(log: Choice, tensorboard: bool = False) -> list[str | Logger]:
    """The chosen loggers, each once: names as the registry writes them, and objects.

    log: names, comma-separated or in a list, and objects with `log` and `close`.

    Raises ValueError for an unknown name, a missing library, and an object that is no logger.
    """
    items = log.split(",") if isinstance(log, str) else log
    items = [items] if isinstance(items, Logger) else list(items)
    chosen = list[str | Logger](["tensorboard"] if tensorboard else [])
    for item in items:
        if isinstance(item, str):
            chosen.append(canonical("logger", item.strip(), LOGGERS))
        elif isinstance(item, Logger) and not isinstance(item, type):
            chosen.append(item)
        else:
            raise ValueError(f"`log` must be a name or have log(scalars, step). Got {item!r}.")
    for name in chosen:
        if isinstance(name, str):
            LOGGERS[name].load()
    return [item for i, item in enumerate(chosen) if item not in chosen[:i]]


class Log:
    """Loggers that follow growing rows, as `landscape.training.tables.Growing` does."""

    def __init__(self, chosen: Sequence[str | Logger], run: Path, settings: Mapping[str, Any]):
        self._loggers: list[Logger] = [
            LOGGERS[item](run, settings) if isinstance(item, str) else item for item in chosen
        ]
        self._written = {"": 0, "sharpness/": 0}

    def grow(self, rows: Sequence[Row], looks: Sequence[Row] = ()) -> None:
        """Hand over those that were not yet, by step; what is not finite is left out."""
        by_step: dict[int, dict[str, float]] = {}
        for prefix, table in (("", rows), ("sharpness/", looks)):
            for row in table[self._written[prefix] :]:
                by_step.setdefault(int(row["step"]), {}).update(
                    (prefix + tag(name), value)
                    for name, value in row.items()
                    if name not in ("step", "epoch") and math.isfinite(value)
                )
            self._written[prefix] = len(table)
        for step in sorted(by_step):
            for logger in self._loggers:
                logger.log(by_step[step], step)

    def close(self, completed: bool = True) -> None:
        """Close all loggers; nothing is written after it."""
        for logger in self._loggers:
            logger.close(completed)


def tag(name: str) -> str:
    """ "test_loss" as "loss/test", so that the parts of the data share a chart's group."""
    part, _, quantity = name.rpartition("_")
    return f"{quantity}/{part}" if quantity in ("loss", "accuracy") and part else name
