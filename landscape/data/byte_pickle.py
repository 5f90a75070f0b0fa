"""Read a pickle of plain values and byte arrays without running any code that it names.

An allow-list of numpy's own constructors would not be enough: `numpy.ndarray` takes a buffer, and
an array of objects over forged bytes is a pointer into memory. So the few names that a pickled
array uses stand for small classes of ours, and everything else is refused.
"""

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from landscape.utils import pickle_limits
from landscape.utils.files import one_line


def load(path: Path) -> Any:
    """The pickled value: numbers, bytes, text, lists, dicts, and `ByteArray` for each numpy array.

    Text of Python 2 arrives as bytes. Raises ValueError when the pickle names anything else, holds
    an array of another type than uint8, is damaged, or breaks a limit of `pickle_limits`.
    """
    raw = path.read_bytes()
    try:
        pickle_limits.check(io.BytesIO(raw), len(raw))
        return _Unpickler(io.BytesIO(raw), encoding="bytes").load()
    except Exception as error:  # a damaged pickle may raise any exception (pickle's manual)
        raise ValueError(
            f"{path} must be a pickle of plain values and uint8 arrays. Got: {one_line(error)}."
        ) from error


MOST_AXES = 8


class ByteArray:
    """A pickled numpy array of uint8. `.values` is read-only, of the array's shape."""

    values: np.ndarray = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], "_DType", bool, bytes]) -> None:
        _, shape, dtype, fortran, raw = state
        if dtype.code not in ("u1", b"u1") or not isinstance(raw, bytes):
            raise ValueError(f"an array of type {dtype.code!r}")
        whole = len(shape) <= MOST_AXES and all(isinstance(n, int) for n in shape)
        if not whole or math.prod(shape) != len(raw):
            raise ValueError(f"an array of shape {shape} with {len(raw)} bytes")
        self.values = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")


class _DType:
    def __init__(self, code: str | bytes, *_: object):
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Byte order, alignment and the like: nothing that a single byte has."""


def _reconstruct(*_: object) -> ByteArray:
    return ByteArray()


def _encode(text: str, _encoding: str) -> bytes:
    return text.encode("latin1")  # how Python 3 writes bytes in the old protocols


STANDS_FOR: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): ByteArray,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) not in STANDS_FOR:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not run")
        return STANDS_FOR[module, name]
