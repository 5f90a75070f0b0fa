"""The idx format of MNIST and its kin: big-endian header, then bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from landscape.data.archives import MOST_BYTES


def unpacked(path: Path) -> bytes:
    """The bytes of a file, decompressed where its name ends in .gz.

    Raises ValueError when the compressed stream is damaged, cut short, or without end.
    """
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            raw = file.read(MOST_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} must be a complete gzip file. Got: {error}.") from error
    if len(raw) > MOST_BYTES:
        raise ValueError(f"{path} must unpack to at most {MOST_BYTES} bytes. Got more.")
    return raw


def array(raw: bytes, shape: tuple[int | None, ...], path: Path) -> np.ndarray:
    """The uint8 array of an idx file, a read-only view of `raw`.

    shape: what it must be, None for any length: (None, 28, 28) for Fashion-MNIST's images.
    path: named in errors.

    Format: two zero bytes, 0x08 for unsigned bytes, the number of dimensions, each length in four
    bytes, then the values in row-major order.

    Raises ValueError when the magic number, the lengths or the number of bytes differ.
    """
    magic = bytes((0, 0, 8, len(shape)))
    header = 4 + 4 * len(shape)
    if raw[:4] != magic or len(raw) < header:
        raise ValueError(
            f"{path} must be an idx file of bytes in {len(shape)} dimensions, which begins "
            f"{magic.hex()}. Got {len(raw)} bytes that begin {raw[:4].hex() or 'with nothing'}."
        )
    found = struct.unpack(f">{len(shape)}I", raw[4:header])
    if any(want not in (None, length) for want, length in zip(shape, found, strict=True)):
        wanted = " x ".join("n" if want is None else str(want) for want in shape)
        raise ValueError(f"{path} must hold {wanted} values. Got {' x '.join(map(str, found))}.")
    if len(raw) - header != math.prod(found):
        raise ValueError(
            f"{path} must hold {math.prod(found)} bytes after its header. Got {len(raw) - header}."
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(found)
