"""Where a data set's files are: a named folder, or the one in LANDSCAPE_DATA.

Nothing is downloaded.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """The files of one data set and the folders they usually lie in.

    title: the data set's own name.
    files: what to put there, as in "the four idx files".
    folders: below the data folder, the most specific first ("." is the data folder itself).
    """

    title: str
    files: str
    folders: tuple[str, ...]

    def find(self, data_dir: Path | None, *names: str) -> Path:
        """The first file there is: folders in order, and in each the names in order.

        Raises FileNotFoundError, one line that says what to put where.
        """
        named = data_dir or os.environ.get("LANDSCAPE_DATA")
        if not named:
            raise FileNotFoundError(
                f"{self.title} needs {names[0]}, and no folder is named. "
                f"Name the folder of {self.files} with --data-dir or LANDSCAPE_DATA."
            )
        root = Path(named).expanduser()
        for folder in self.folders:
            for name in names:
                if (path := root / folder / name).is_file():
                    return path
        raise FileNotFoundError(
            f"{self.title} needs {names[0]} in {root}. "
            f"Put {self.files} there or name their folder with --data-dir or LANDSCAPE_DATA."
        )
