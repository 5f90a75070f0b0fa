"""Plain texts as data sets: blocks of bytes, and for each place the byte that comes next."""

import hashlib
import platform
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscape.data.dataset import DataSet
from landscape.data.files import Source, compared, plain_text

LENGTH = 128  # of a block; the language model is made for it
BYTES = 256  # classes: a character of English is one byte
TEST_SHARE = 0.1  # of the text, its end

TEXT = Source("A plain text", "input.txt", (".",))

# 1,115,394 characters of the plays, collected by Karpathy for char-rnn, 2015.
SHAKESPEARE = Source("Tiny Shakespeare", "input.txt", ("tinyshakespeare", "shakespeare", "."))
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def text(data_dir: Path | None = None) -> DataSet:
    """Blocks of 128 bytes of a text, each with the byte that comes next; the last tenth for tests.

    data_dir: folder with `input.txt`, in UTF-8. Where none is named, and there is none in the
        environment variable LANDSCAPE_DATA, the text is the language reference that Python's own
        `help()` reads from; it differs a little from version to version, so the note has its hash.

    Raises FileNotFoundError when the named folder has no such file, ValueError when the file is no
    plain text, or too short.
    """
    try:
        path = TEXT.find(data_dir, "input.txt")
    except FileNotFoundError:
        if data_dir is not None:
            raise
        return _of_python()
    return dataset("text", plain_text(path), str(path))


def _of_python() -> DataSet:
    from pydoc_data.topics import topics

    joined = "\n".join(topics[name] for name in sorted(topics))
    found = hashlib.sha256(joined.encode()).hexdigest()
    version = platform.python_version()
    note = f"No text was named: the topics of pydoc, Python {version}, SHA-256 {found}."
    return dataset("text", joined, "pydoc_data.topics", note)


def shakespeare(data_dir: Path | None = None) -> DataSet:
    """7,842 training and 871 test blocks of 128 bytes, each with the byte that comes next.

    data_dir: folder with `input.txt`, or with a folder `tinyshakespeare` that holds it; default:
        the environment variable LANDSCAPE_DATA.

    A plain text that is not the published one is read, and the note says so.

    Raises FileNotFoundError when the file is missing, ValueError when it is no plain text.
    """
    path = SHAKESPEARE.find(data_dir, "input.txt")
    return dataset("shakespeare", plain_text(path), str(path), compared(path, SHAKESPEARE_SHA256))


def dataset(name: str, text: str, where: str, note: str = "") -> DataSet:
    """x and y int64 (n, 128): y[i, j] is the byte that comes after x[i, j].

    Blocks follow each other without overlap and a rest is left out. The last tenth of the text is
    the test set, so no block of it touches the training set.

    where: the text is from, for errors. Raises ValueError where it is too short for a block each.
    """
    raw = np.frombuffer(text.encode(), np.uint8)
    cut = len(raw) - round(TEST_SHARE * len(raw))
    if len(raw) - cut < LENGTH + 1:
        least = round((LENGTH + 1) / TEST_SHARE)
        raise ValueError(f"{where} must hold at least {least} bytes of text. Got {len(raw)}.")
    (train_x, train_y), (test_x, test_y) = blocks(raw[:cut]), blocks(raw[cut:])
    return DataSet(
        name=name,
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=BYTES,
        note=note,
    )


def blocks(raw: np.ndarray, length: int = LENGTH) -> tuple[Tensor, Tensor]:
    """(n, length) of the bytes, and of those one later, n = (bytes - 1) // length."""
    n = (len(raw) - 1) // length
    values = torch.tensor(raw[: n * length + 1], dtype=torch.int64)
    return values[:-1].view(n, length), values[1:].view(n, length)


# --- the text that ships with Python, to train on and to fine-tune on

HELD_TOPICS = 5  # every fifth topic, in alphabetical order, is kept for tests
SHORT, LEAST_WORDS = 64, 6  # bytes of a block that is to be classified, and its words
INTACT_TRAIN, INTACT_TEST = 2000, 1000


def python_text(data_dir: Path | None = None) -> DataSet:
    """Blocks of 128 bytes of the topics of Python's `help()`, each with the byte that comes next.

    data_dir: not read. Every fifth topic is the test set, so that `intact_text` can test on what no
    pretraining has seen. The note has Python's version, with which the text differs a little.
    """
    (train_x, train_y), (test_x, test_y) = (
        blocks(np.frombuffer("\n".join(part).encode(), np.uint8)) for part in _topics()
    )
    return DataSet("python-text", train_x, train_y, test_x, test_y, BYTES, note=_version())


def intact_text(data_dir: Path | None = None) -> DataSet:
    """Blocks of 64 bytes of the same topics: is the order of the words theirs (1) or not (0)?

    data_dir: not read. 2,000 training blocks and 1,000 of the topics kept for tests, x int64
    (n, 64); half of them have their words permuted. Blocks have six words or more, one space
    between two, and spaces at the end.
    """
    parts = zip(_topics(), (INTACT_TRAIN, INTACT_TEST), (0, 1), strict=True)
    (train_x, train_y), (test_x, test_y) = (permuted(*part) for part in parts)
    return DataSet("intact-text", train_x, train_y, test_x, test_y, 2, note=_version())


def permuted(texts: list[str], count: int, seed: int) -> tuple[Tensor, Tensor]:
    """At most `count` blocks (n, 64) and whether each is intact, by `RandomState(seed)`."""
    cut = [text.encode()[i : i + SHORT] for text in texts for i in range(0, len(text), SHORT)]
    known = [words for block in cut if len(words := block.split()) >= LEAST_WORDS]
    r = np.random.RandomState(seed)
    rows, labels = [], []
    for i, chosen in enumerate(r.permutation(len(known))[:count]):
        words = known[chosen]
        while i % 2 and words == known[chosen]:
            words = [words[j] for j in r.permutation(len(words))]
            if len(set(words)) == 1:
                break
        rows.append(list(b" ".join(words).ljust(SHORT)))
        labels.append(1 - i % 2)
    return torch.tensor(rows), torch.tensor(labels)


def _topics() -> tuple[list[str], list[str]]:
    """The topics to train on, without paragraphs of the others, and those kept for tests.

    Topics repeat one another: half of the kept ones' blocks stand in others, too.
    """
    from pydoc_data.topics import topics

    texts = [topics[name] for name in sorted(topics)]
    held = texts[::HELD_TOPICS]
    known = {" ".join(part.split()) for text in held for part in text.split("\n\n")}
    train = [
        "\n\n".join(p for p in text.split("\n\n") if " ".join(p.split()) not in known)
        for i, text in enumerate(texts)
        if i % HELD_TOPICS
    ]
    return train, held


def _version() -> str:
    return f"The topics of pydoc, Python {platform.python_version()}."
