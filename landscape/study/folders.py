"""Runs and records of the folders that a user names: runs, studies, measured checkpoints."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from landscape.records import Record, load_all
from landscape.statistics.common_rise import at_common_rise
from landscape.study.study import Study
from landscape.training.run import Run
from landscape.utils.paths import PathLike, as_path


def runs_in(folder: PathLike) -> list[Run]:
    """The run of a folder, or the runs of a study; ValueError where it is neither."""
    folder = as_path(folder)
    if not folder.exists():
        raise ValueError(f"There is no folder {folder}.")
    if folder.is_file():
        raise ValueError(
            f"{folder} is a file, not the folder of a run. A checkpoint of your own: "
            f"landscape analyze {folder} --model mine.py:net --data mine.py:data"
        )
    if (folder / "study.json").is_file():
        return list(Study(folder).runs.values())
    return [Run.open(folder)]


def records_in(folders: Sequence[PathLike]) -> list[tuple[Path, str, dict[str, Record]]]:
    """Folder, label and records by kind; the label of a run is its method, of others their name.

    Areas are read at one rise, as in a study.

    Raises ValueError for a folder without records.
    """
    paths = [as_path(folder) for folder in folders]
    shared = Counter(path.resolve().name for path in paths)
    labelled: list[tuple[Path, str, dict[str, Record]]] = []
    for path in paths:
        if (path / "settings.json").is_file() or not any(path.glob("records/*.nc")):
            labelled += [(path, run.settings.method, run.records()) for run in runs_in(path)]
        else:
            name = path.resolve().name
            labelled.append((path, name if shared[name] == 1 else str(path), load_all(path)))
    kept, _ = at_common_rise({(name, i): held for i, (_, name, held) in enumerate(labelled)})
    return [(path, name, kept[name, i]) for i, (path, name, _) in enumerate(labelled)]
