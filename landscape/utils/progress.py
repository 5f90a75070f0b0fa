"""Progress messages of long work; the listener decides how to show them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Progress message of long work.

    stage: "train", "measure", "compare" or "report"; label: the cell or measure, such as
    "sam, seed 0"; done of total: in any unit that grows evenly with time; note: a short remark.
    """

    stage: str
    label: str
    done: float
    total: float
    note: str = ""


Listener = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Ignore the message."""
