"""A cross-check of eigenvalue solvers as lines of text, and as JSON."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape.records import CrossCheckRecord

HEAD = ("solver", "largest |value|", "worst residual", "met", "differ", "products", "seconds")


def values(record: "CrossCheckRecord") -> dict[str, Any]:
    """All of the record."""
    found: dict[str, Any] = json.loads(record.to_json())
    return found


def lines(record: "CrossCheckRecord") -> list[str]:
    """A row for each solver, then a line for each pair in which one differs from ours."""
    rows = [HEAD, *(_row(record, i) for i in range(len(record.backends)))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    reasons = [
        f"{name}: {message}"
        for name, message in zip(record.backends, record.message, strict=True)
        if message
    ]
    return [*table, *reasons, *_differences(record)]


def _row(record: "CrossCheckRecord", i: int) -> tuple[str, ...]:
    name, found = str(record.backends[i]), record.values[i][record.values[i] == record.values[i]]
    if len(found) == 0:
        return (name, *["-"] * (len(HEAD) - 1))
    residuals = record.residuals[i][: len(found)]
    return (
        name,
        f"{abs(found).max():.6g}",
        f"{residuals.max():.1e}",
        f"{int(record.met[i].sum())} of {record.values.shape[1]}",
        str(int(record.differs[i].sum())),
        f"{record.hvps[i]:.0f}",
        f"{record.seconds[i]:.2f}",
    )


def _differences(record: "CrossCheckRecord") -> list[str]:
    return [
        f"value {j + 1}: {record.backends[0]} {record.values[0, j]:.6g} ± {record.bounds[0, j]:.1e}"
        f", {record.backends[i]} {record.values[i, j]:.6g} ± {record.bounds[i, j]:.1e}"
        for i, j in zip(*record.differs.nonzero(), strict=True)
    ]
