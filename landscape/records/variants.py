"""Records of one kind that answer different questions, side by side in one folder.

Surfaces and profiles along other directions are other questions: `surface.nc` holds the first that
was asked, `surface-trajectory.nc` another. Asked with another size or span, a question is the same.
"""

from collections.abc import Mapping
from pathlib import Path

from landscape.records.record import Record

USUAL = "random"  # directions of the record that a kind's name stands for, where there are several


def variant(record: Record) -> str:
    """Directions of a surface or a profile, of a plane of the user's own with its fingerprint; ""
    for all other kinds, of which there is one.
    """
    if record.kind not in ("surface", "profile"):
        return ""
    directions = str(getattr(record, "directions", ""))
    plane = record.settings.get("plane")
    return f"{directions}-{plane['d1'][:8]}" if isinstance(plane, Mapping) else directions


def files_of(folder: Path, name: str) -> list[Path]:
    """Files in `folder`/records that may hold records of a measure: its own and the variants."""
    first = folder / "records" / f"{name}.nc"
    return [first, *sorted(first.parent.glob(f"{name}-*.nc"))]


def by_name(found: Mapping[str, Record]) -> dict[str, Record]:
    """Records by file -> by name: of several variants the usual one has the kind's name, else the
    first asked; the others have theirs, as surface-trajectory.
    """
    named: dict[str, Record] = {}
    for stem in sorted(found):
        record, kind = found[stem], stem.partition("-")[0]
        if kind in named and variant(record) == USUAL:
            named[f"{kind}-{variant(named[kind])}"] = named[kind]
            named[kind] = record
        else:
            named[f"{kind}-{variant(record)}" if kind in named else kind] = record
    return named
