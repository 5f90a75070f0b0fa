"""Paths as callers write them: text or `pathlib.Path`, with ~ for the home folder."""

import os
from pathlib import Path
from typing import overload

PathLike = str | os.PathLike[str]


@overload
def as_path(path: PathLike) -> Path: ...
@overload
def as_path(path: None) -> None: ...


def as_path(path: PathLike | None) -> Path | None:
    """The path as `pathlib.Path`, None as None; TypeError for what is no path."""
    return None if path is None else Path(path).expanduser()
