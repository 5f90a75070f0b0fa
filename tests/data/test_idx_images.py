"""The idx reader: what it reads, and what it says about a file that is not one."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from landscape.data import idx_images

VALUES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
GOOD = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2, 3, 4) + VALUES.tobytes()
PATH = Path("folder/images")


def test_an_array_comes_back():
    assert np.array_equal(idx_images.array(GOOD, (2, 3, 4), PATH), VALUES)
    assert np.array_equal(idx_images.array(GOOD, (None, 3, 4), PATH), VALUES)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "begins 00000803. Got 0 bytes that begin with nothing"),
        (b"\x89PNG" + GOOD[4:], "begins 00000803. Got 40 bytes that begin 89504e47"),
        (bytes((0, 0, 8, 1)) + GOOD[4:], "in 3 dimensions, .* Got 40 bytes that begin 00000801"),
        (bytes((0, 0, 9, 3)) + GOOD[4:], "Got 40 bytes that begin 00000903"),
        (GOOD[:15], "Got 15 bytes that begin 00000803"),
        (GOOD[:-1], "hold 24 bytes after its header. Got 23"),
        (GOOD + b"\0", "hold 24 bytes after its header. Got 25"),
        (GOOD[:12] + struct.pack(">I", 6) + GOOD[16:], "hold n x 3 x 4 values. Got 2 x 3 x 6"),
    ],
)
def test_a_wrong_file_is_named_with_what_was_expected(raw, message):
    with pytest.raises(ValueError, match=f"^{PATH} must .*{message}"):
        idx_images.array(raw, (None, 3, 4), PATH)


def test_no_values_at_all():
    empty = bytes((0, 0, 8, 1)) + struct.pack(">I", 0)
    assert idx_images.array(empty, (None,), PATH).shape == (0,)


def test_compressed_and_plain_files_read_the_same(tmp_path):
    plain, packed = tmp_path / "x", tmp_path / "x.gz"
    plain.write_bytes(GOOD)
    packed.write_bytes(gzip.compress(GOOD))
    assert idx_images.unpacked(plain) == idx_images.unpacked(packed) == GOOD


def damaged(packed: bytes) -> dict[str, bytes]:
    flipped = bytearray(packed)
    flipped[-6] ^= 1  # in the checksum
    stream = bytearray(packed)
    stream[10] = 0xFF  # the first block's type
    return {
        "cut": packed[:-9],
        "cut in the header": packed[:5],
        "checksum": bytes(flipped),
        "stream": bytes(stream),
        "not gzip": b"<html>not found</html>",
    }


@pytest.mark.parametrize("kind", ["cut", "cut in the header", "checksum", "stream", "not gzip"])
def test_a_damaged_gzip_file_is_one_clear_error(kind, tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(damaged(gzip.compress(GOOD))[kind])
    with pytest.raises(ValueError, match=f"^{path} must be a complete gzip file. Got: .+"):
        idx_images.unpacked(path)
