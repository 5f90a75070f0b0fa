"""Thresholds that a checkpoint meets with some room, to hold its successors against."""

import math
from collections.abc import Iterator

from landscape.auditing.page import measured
from landscape.auditing.requirements import CHANGE
from landscape.auditing.verdicts import Audit

POINTS = 0.01  # accuracy that may be lost
ROOM = {"loss": 1.1, "max": 1.25, "trace": 1.25, "kappa": 1.25, "kappa_hat": 1.25}  # factors
HEAD = """\
# What this checkpoint meets with room to spare: {points:.0%} of accuracy, a tenth of a loss, a
# quarter of a curvature. The room is a convention: change it, and delete what you do not need.
"""


def suggested(audit: Audit) -> list[str]:
    """Requirements that the audited checkpoint meets, one for each quantity that has a direction.

    The threshold leaves room beyond the end of the interval, rounded to two digits away from it;
    where that end is infinite, as of what a search found, beyond the value itself.
    """
    return list(_requirements(audit))


def as_toml(requirements: list[str]) -> str:
    """The requirements as the file that `--requirements` takes."""
    lines = "".join(f'    "{text}",\n' for text in requirements)
    return f"{HEAD.format(points=POINTS)}require = [\n{lines}]\n"


def _requirements(audit: Audit) -> Iterator[str]:
    for row in measured(audit):
        name = str(row["name"])
        if name.startswith(CHANGE):
            continue
        quantity = name.partition("@")[0].rpartition(".")[2]
        if quantity == "accuracy":
            worst = row["low"] if math.isfinite(row["low"]) and row["low"] > 0 else row["value"]
            yield f"{name} >= {max(0.0, math.floor(100 * (worst - POINTS)) / 100):g}"
        elif quantity in ROOM:
            worst = row["high"] if math.isfinite(row["high"]) else row["value"]
            if worst > 0:
                yield f"{name} <= {_rounded_up(ROOM[quantity] * worst):g}"


def _rounded_up(value: float) -> float:
    """The next number of two digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit
