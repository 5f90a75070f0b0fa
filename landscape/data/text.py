"""A plain text of your own, or without one the English text that ships with Python."""

import hashlib
import platform
from pathlib import Path

from landscape.data import language
from landscape.data.dataset import DataSet
from landscape.data.files import Source, plain_text

SOURCE = Source("A plain text", "input.txt", (".",))


def load(data_dir: Path | None = None) -> DataSet:
    """Blocks of 128 bytes of a text, each with the byte that comes next; the last tenth for tests.

    data_dir: folder with `input.txt`, in UTF-8. Where none is named, and there is none in the
        environment variable LANDSCAPE_DATA, the text is the language reference that Python's own
        `help()` reads from; it differs a little from version to version, so the note has its hash.

    Raises FileNotFoundError when the named folder has no such file, ValueError when the file is no
    plain text, or too short.
    """
    try:
        path = SOURCE.find(data_dir, "input.txt")
    except FileNotFoundError:
        if data_dir is not None:
            raise
        return _of_python()
    return language.dataset("text", plain_text(path), str(path))


def _of_python() -> DataSet:
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    found = hashlib.sha256(text.encode()).hexdigest()
    version = platform.python_version()
    note = f"No text was named: the topics of pydoc, Python {version}, SHA-256 {found}."
    return language.dataset("text", text, "pydoc_data.topics", note)
