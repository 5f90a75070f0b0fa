"""Texts to predict: blocks and what comes next, Tiny Shakespeare, and Python's own text."""

import hashlib
import math

import numpy as np
import pytest
import torch

from landscape.data import DATA, language, shakespeare

TEXT = "".join(chr(32 + i * i % 90) for i in range(3000))


def test_blocks_by_hand():
    x, y = language.blocks(np.arange(10, dtype=np.uint8), length=3)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert y.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert len(language.blocks(np.arange(9, dtype=np.uint8), length=3)[0]) == 2  # 8 has no next


@pytest.mark.parametrize("name", ["shakespeare", "text"])
def test_every_place_has_the_byte_that_follows(name, tmp_path):
    (tmp_path / "input.txt").write_text(TEXT)
    dataset = DATA[name](tmp_path)
    raw = torch.tensor(list(TEXT.encode()))
    assert dataset.train_x.shape == dataset.train_y.shape == (21, 128)
    assert torch.equal(dataset.train_x.flatten(), raw[: 21 * 128])
    assert torch.equal(dataset.train_y.flatten(), raw[1 : 21 * 128 + 1])
    assert torch.equal(dataset.test_x.flatten(), raw[2700 : 2700 + 256])
    assert torch.equal(dataset.test_y.flatten(), raw[2701 : 2701 + 256])
    assert dataset.classes == 256 and dataset.augment is None


def test_bytes_are_counted_not_characters(tmp_path):
    (tmp_path / "input.txt").write_text("é" * 1500)
    assert DATA["text"](tmp_path).train_x[0, :2].tolist() == list("é".encode())


def test_another_text_than_the_published_is_noted(tmp_path):
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text(TEXT)
    found = hashlib.sha256(TEXT.encode()).hexdigest()
    note = f"input.txt is not the published file (SHA-256 {found})."
    assert shakespeare(tmp_path).note == note


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "be a plain text in UTF-8. Got an empty file"),
        (b"\x1f\x8b\x08\x00" * 1000, "be a plain text in UTF-8. Got: 'utf-8' codec can't decode"),
        (b"a\0" * 1000, "be a plain text in UTF-8. Got a file with zero bytes"),
        (b"a" * 1000, "hold at least 1290 bytes of text. Got 1000"),
    ],
)
def test_a_wrong_file_is_named(raw, message, tmp_path):
    path = tmp_path / "input.txt"
    path.write_bytes(raw)
    for name in ("shakespeare", "text"):
        with pytest.raises(ValueError, match=f"^{path} must {message}"):
            DATA[name](tmp_path)


def test_a_named_folder_without_a_text_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"A plain text needs input.txt in {tmp_path}"):
        DATA["text"](tmp_path)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_without_a_file_python_has_one(elsewhere, tmp_path, monkeypatch):
    """Half a million characters of English, whose hash the note has."""
    monkeypatch.delenv("LANDSCAPE_DATA", raising=False)
    if elsewhere:  # a folder for other data sets
        monkeypatch.setenv("LANDSCAPE_DATA", str(tmp_path))
    dataset = DATA["text"](None)
    text = bytes(dataset.train_x.flatten().tolist()).decode(errors="replace")
    assert text.startswith('The "assert" statement')
    assert " is " in text and dataset.train_x.numel() > 300_000
    assert dataset.note.startswith("No text was named: the topics of pydoc, Python 3.")
    assert len(dataset.note.rpartition("SHA-256 ")[2]) == 65


@pytest.mark.slow
def test_the_published_text():
    try:
        dataset = shakespeare(None)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    assert dataset.note == ""
    assert dataset.train_x.shape == (7842, 128) and dataset.test_x.shape == (871, 128)
    counts = dataset.train_y.flatten().bincount()
    assert (counts > 0).sum() == 65
    share = counts[counts > 0] / counts.sum()
    assert -(share * share.log()).sum() < math.log(65)
