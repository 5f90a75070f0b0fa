"""Folders that the user names: runs, studies, and those that hold records only."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landscape.records import Record
    from landscape.training.run import Run


def runs_in(folder: Path) -> "list[Run]":
    """The run of a folder, or the runs of a study; ValueError where it is neither."""
    import landscape as ls

    if not folder.exists():
        raise ValueError(f"There is no folder {folder}.")
    if folder.is_file():
        raise ValueError(
            f"{folder} is a file, not the folder of a run. A checkpoint of your own: "
            f"landscape analyze {folder} --model mine.py:net --data mine.py:data"
        )
    if (folder / "study.json").is_file():
        return list(ls.Study(folder).runs.values())
    return [ls.Run.open(folder)]


def has_ended(folder: Path) -> bool:
    """Whether there is a run in it that is finished, or diverged."""
    import landscape as ls

    there = (folder / "settings.json").is_file()
    return there and ls.Run(folder).status["state"] in ("finished", "diverged")


def records_in(folders: Sequence[Path]) -> "list[tuple[str, dict[str, Record]]]":
    """Label and records by kind: of runs their method, of other folders their name.

    Raises ValueError for a folder without records.
    """
    from landscape.records import load_all

    shared = Counter(folder.resolve().name for folder in folders)
    found: list[tuple[str, dict[str, Record]]] = []
    for folder in folders:
        if (folder / "settings.json").is_file() or not any(folder.glob("records/*.nc")):
            found += [(run.settings.method, run.records()) for run in runs_in(folder)]
        else:
            name = folder.resolve().name
            label = name if shared[name] == 1 else str(folder)
            found.append((label, load_all(folder)))
    return found
