"""Paths as callers write them: text or `pathlib.Path`, with ~ for the home folder."""

import os
from pathlib import Path, PurePosixPath
from typing import overload

PathLike = str | os.PathLike[str]


@overload
def as_path(path: PathLike) -> Path: ...
@overload
def as_path(path: None) -> None: ...


def as_path(path: PathLike | None) -> Path | None:
    """The path as `pathlib.Path`, None as None; TypeError for what is no path."""
    return None if path is None else Path(path).expanduser()


def inside(folder: Path, name: object) -> Path:
    """The path of an entry that a folder's own file names.

    Raises ValueError where the name leads out of the folder.
    """
    relative = PurePosixPath(name) if isinstance(name, str) else None
    if relative is None or relative.is_absolute() or ".." in relative.parts or "\\" in str(name):
        raise ValueError(f"{folder} names {name!r}, which is not inside of it.")
    return folder / relative


def refuse_links_out(folder: Path) -> None:
    """Raise ValueError where a link in a folder, or below it, leads out of the folder."""
    root = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink() and not _leads_into(root, path):
            raise ValueError(
                f"{path} is a link that leads out of {folder}. Put a copy in its place, or name "
                "the folder that it leads to."
            )


def _leads_into(root: Path, link: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a circle of links
        return False
