"""Rise of the loss at which a study compares areas: one at which every minimum has an area."""

from collections.abc import Mapping

import numpy as np

from landscape.records import Record, RiseAreaRecord
from landscape.statistics.comparable import Cells

ORDER = (1, 0, 2)  # of the rises of a record: the one asked for, its half, its double


def at_common_rise(
    cells: Mapping[tuple[str, int], Mapping[str, Record]],
) -> tuple[Cells, list[str]]:
    """The records with the areas of all runs read at one rise, and what is to be said about it.

    The rise is that which was asked for where every run has an area at it; else its half, else its
    double. Where some minimum lacks an area at each of them the rise stays, and the sentence names
    the minima without one.

    Records of different rises stay as they are.
    """
    kept: Cells = {key: dict(records) for key, records in cells.items()}
    held = {
        key: record
        for key, records in cells.items()
        if isinstance(record := records.get("rise_area"), RiseAreaRecord)
    }
    if not held or len({tuple(record.rises) for record in held.values()}) > 1:
        return kept, []
    areas = np.array([record.areas for record in held.values()])
    everywhere = np.isfinite(areas).all(axis=0)
    chosen = next((i for i in ORDER if everywhere[i]), ORDER[0])
    for key, record in held.items():
        kept[key]["rise_area"] = record.at(chosen)
    return kept, _sentences(held, chosen)


def _sentences(held: Mapping[tuple[str, int], RiseAreaRecord], chosen: int) -> list[str]:
    lacking = {key: r for key, r in held.items() if not np.isfinite(r.areas[ORDER[0]])}
    if not lacking:
        return []
    asked, half, double = (next(iter(held.values())).rises[i] for i in ORDER)
    who = "; ".join(
        f"{method} seed {seed}: {record.no_area or 'no reason recorded'}"
        for (method, seed), record in lacking.items()
    )
    count = f"{len(lacking)} of {len(held)} minima"
    if chosen != ORDER[0]:
        rise = (asked, half, double)[ORDER.index(chosen)]
        return [
            f"Areas are those inside a rise of the loss by {rise:g}, at which every minimum has "
            f"one: at {asked:g}, {count} have none ({who})."
        ]
    return [
        f"{count} have no area inside a rise of the loss by {asked:g} and do not count in its "
        f"means ({who}); neither {half:g} nor {double:g} has an area of every minimum."
    ]
