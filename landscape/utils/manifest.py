"""The sums of a folder's files: manifest.json maps each name to the SHA-256 of its content.

A folder is sealed last, so that what a kill leaves behind is recognised: a file that the manifest
does not know, or knows otherwise, was not finished.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from landscape.utils import files

NAME = "manifest.json"


def read(folder: Path) -> dict[str, str]:
    """The sums by name, as `records/trace.nc`; {} where there is no manifest.

    Raises ValueError where the file is no manifest, or names something outside of its folder.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    sums = files.read_object(path)
    for name, value in sums.items():
        inside = PurePosixPath(name)
        if not isinstance(value, str) or inside.is_absolute() or ".." in inside.parts:
            raise ValueError(f"{path} is no manifest: its entry {name!r} is not a file's checksum.")
    return sums


def seal(
    folder: Path, written: Iterable[Path], upcoming: Mapping[str, bytes] | None = None
) -> None:
    """Note the sums of files that were just written; all others keep the sums that they had.

    upcoming: contents of files that are written next, by name.
    """
    sums = read(folder)
    for path in written:
        sums[path.relative_to(folder).as_posix()] = files.sha256(path)
    for name, content in (upcoming or {}).items():
        sums[name] = hashlib.sha256(content).hexdigest()
    files.write_json(folder / NAME, dict(sorted(sums.items())))


def is_sound(folder: Path, name: str, sums: Mapping[str, str]) -> bool:
    """Test whether a file is there and has the sealed checksum."""
    path = folder / name
    return name in sums and path.is_file() and files.sha256(path) == sums[name]


def reseal(
    folder: Path, written: Iterable[Path], upcoming: Mapping[str, bytes] | None = None
) -> None:
    """Seal as `seal` does, in place of a manifest that is damaged.

    For folders whose files are all made anew by the same command; never for those of runs.
    """
    try:
        read(folder)
    except ValueError:
        (folder / NAME).unlink()
    seal(folder, written, upcoming)


def may_be_read(folder: Path, name: str) -> bool:
    """Test whether a file is as it was sealed; all are in a folder of an older version, which has
    no manifest.
    """
    if not (folder / NAME).exists():
        return True
    try:
        return is_sound(folder, name, read(folder))
    except ValueError:  # nothing is known of any file
        return False


def damage(folder: Path) -> list[str]:
    """Name the sealed files that are missing or differ, one phrase each."""
    sums = read(folder)
    return [
        f"{folder / name} is {'damaged' if (folder / name).is_file() else 'missing'}"
        for name in sums
        if not is_sound(folder, name, sums)
    ]
