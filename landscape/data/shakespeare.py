"""Tiny Shakespeare: 1,115,394 characters of the plays, collected by Karpathy for char-rnn, 2015."""

from pathlib import Path

from landscape.data import language
from landscape.data.dataset import DataSet
from landscape.data.files import Source, compared, plain_text

SOURCE = Source("Tiny Shakespeare", "input.txt", ("tinyshakespeare", "shakespeare", "."))

SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def load(data_dir: Path | None = None) -> DataSet:
    """7,842 training and 871 test blocks of 128 bytes, each with the byte that comes next.

    data_dir: folder with `input.txt`, or with a folder `tinyshakespeare` that holds it; default:
        the environment variable LANDSCAPE_DATA.

    A plain text that is not the published one is read, and the note says so.

    Raises FileNotFoundError when the file is missing, ValueError when it is no plain text.
    """
    path = SOURCE.find(data_dir, "input.txt")
    text = plain_text(path)
    return language.dataset("shakespeare", text, str(path), compared(path, SHA256))
