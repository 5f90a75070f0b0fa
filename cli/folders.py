"""Folders that the user names: runs and studies."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landscape.runs import Run


def runs_in(folder: Path) -> "list[Run]":
    """The run of a folder, or the runs of a study; ValueError where it is neither."""
    import landscape as ls

    if (folder / "study.json").is_file():
        return list(ls.Study(folder).runs.values())
    return [ls.Run.open(folder)]
