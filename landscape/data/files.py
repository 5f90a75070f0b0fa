"""Files of a data set: in a named folder, or in the one of LANDSCAPE_DATA.

Nothing is downloaded, unless LANDSCAPE_DOWNLOAD is 1 (`--download`), and then only by
`landscape.data.hugging_face`.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from landscape.data import archives


@dataclass(frozen=True)
class Source:
    """The files of one data set and the folders they usually lie in.

    title: the data set's own name.
    files: what to put there, as in "the four idx files".
    folders: below the data folder, the most specific first ("." is the data folder itself).
    archives: MD5 of the published archives that hold the files, by name.
    """

    title: str
    files: str
    folders: tuple[str, ...]
    archives: Mapping[str, str] = field(default_factory=dict)

    def find(self, data_dir: Path | None, *names: str) -> Path:
        """The first file there is: folders in order, and in each the names in order.

        Raises FileNotFoundError, one line that says what to put where.
        """
        root = data_folder(data_dir)
        if root is None:
            raise FileNotFoundError(
                f"{self.title} needs {names[0]}, and no folder is named. "
                f"Name the folder of {self.files} with --data-dir or LANDSCAPE_DATA."
            )
        for folder in self.folders:
            for name in names:
                if (path := root / folder / name).is_file():
                    return path
        raise FileNotFoundError(
            f"{self.title} needs {names[0]} in {root}. "
            f"Put {self.files} there or name their folder with --data-dir or LANDSCAPE_DATA."
        )

    @contextmanager
    def opened(self, data_dir: Path | None, *names: str) -> Iterator[tuple[Path, str]]:
        """The folder of the first file there is, and a note about the archive it came from, or "".

        Where no file is there but a published archive, that is unpacked, into a folder that is
        gone afterwards. Raises FileNotFoundError as `find` does, ValueError for a bad archive.
        """
        try:
            found = self.find(data_dir, *names)
        except FileNotFoundError:
            archive = self._archive(data_dir)
            if archive is None:
                raise
            note = compared(archive, self.archives[archive.name])
            with archives.unpacked(archive) as folder:
                yield self.find(folder, *names).parent, note
        else:
            yield found.parent, ""

    def _archive(self, data_dir: Path | None) -> Path | None:
        root = data_folder(data_dir)
        if root is None:
            return None
        paths = (root / folder / name for folder in self.folders for name in self.archives)
        return next((path for path in paths if path.is_file()), None)


def data_folder(data_dir: Path | None) -> Path | None:
    """The folder that was named, by the caller or else in LANDSCAPE_DATA."""
    named = data_dir or os.environ.get("LANDSCAPE_DATA")
    return Path(named).expanduser() if named else None


def compared(path: Path, checksum: str) -> str:
    """A note where a file is not the published one, else "".

    checksum: MD5 or SHA-256 in hexadecimal, told apart by its length.
    """
    kind = {32: "md5", 64: "sha256"}[len(checksum)]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False))
    found = digest.hexdigest()
    label = {"md5": "MD5", "sha256": "SHA-256"}[kind]
    return "" if found == checksum else f"{path.name} is not the published file ({label} {found})."


def plain_text(path: Path) -> str:
    """The text of a file in UTF-8, its line ends as they are.

    Raises ValueError where it is empty or something else.
    """
    raw = path.read_bytes()
    if not raw:
        raise ValueError(f"{path} must be a plain text in UTF-8. Got an empty file.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be a plain text in UTF-8. Got: {error}.") from error
    if "\0" in text:
        raise ValueError(f"{path} must be a plain text in UTF-8. Got a file with zero bytes.")
    return text
