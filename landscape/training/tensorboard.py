"""Rows of metrics as TensorBoard's scalars, in a run's folder `tensorboard`."""

import math
from collections.abc import Sequence
from pathlib import Path

from landscape.training.tables import Row
from landscape.utils.optional import optional

FOLDER = "tensorboard"


class Events:
    """Scalars that follow growing rows, as `landscape.training.tables.Growing` does.

    They are written anew from the rows at the start, so that what an interrupted run had written
    beyond its checkpoint is gone and no step stands there twice.

    Raises ValueError where TensorBoard is missing (the extra `track`).
    """

    def __init__(self, run: Path, rows: Sequence[Row], looks: Sequence[Row] = ()):
        optional("tensorboard", "track")
        for old in (run / FOLDER).glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = optional("torch.utils.tensorboard", "track").SummaryWriter(run / FOLDER)
        self._written = {"": 0, "sharpness/": 0}
        self.grow(rows, looks)

    def grow(self, rows: Sequence[Row], looks: Sequence[Row] = ()) -> None:
        """Add those that are not written yet; what is not finite is left out."""
        for prefix, table in (("", rows), ("sharpness/", looks)):
            for row in table[self._written[prefix] :]:
                for name, value in row.items():
                    if name not in ("step", "epoch") and math.isfinite(value):
                        self._writer.add_scalar(prefix + tag(name), value, int(row["step"]))
            self._written[prefix] = len(table)
        self._writer.flush()

    def close(self) -> None:
        """Nothing is written after it."""
        self._writer.close()


def tag(name: str) -> str:
    """ "test_loss" as "loss/test", so that the parts of the data share a chart's group."""
    part, _, quantity = name.rpartition("_")
    return f"{quantity}/{part}" if quantity in ("loss", "accuracy") and part else name
