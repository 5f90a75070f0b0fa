"""Names of classes, as they stand in a file, to numbers."""

from collections.abc import Sequence
from pathlib import Path


def classes_of(names: Sequence[str]) -> dict[str, int]:
    """Each name and its number from 0: whole numbers in their order, other names alphabetically."""
    distinct = set(names)
    whole = all(name.lstrip("-").isdecimal() for name in distinct)
    ordered = sorted(distinct, key=int) if whole else sorted(distinct)
    return {name: i for i, name in enumerate(ordered)}


def numbered(names: Sequence[str], classes: dict[str, int], path: Path) -> list[int]:
    """The number of each name. Raises ValueError for a name that is no class."""
    for name in names:
        if name not in classes:
            known = ", ".join(list(classes)[:10])
            raise ValueError(
                f"{path} must hold classes of the training set ({known}). Got {name!r}."
            )
    return [classes[name] for name in names]
