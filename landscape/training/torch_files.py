"""Read what `torch.save` wrote, as far as it is tensors and plain values, within bounds."""

import io
import pickle
import warnings
import zipfile
from typing import IO, Any

import torch
from torch import Tensor

from landscape.utils import pickle_limits

MOST_BYTES = 2**26  # of the pickle in a file, which holds names and shapes
SMALL = 2**24  # bytes of a tensor that may repeat its elements, as an expanded buffer does
PICKLES = 5  # at the start of a file from before torch 1.6; the rest are bytes of tensors
ZIP, OLD = b"PK\x03\x04", b"\x80"


def load(file: IO[bytes], size: int) -> Any:
    """The value in a file of `size` bytes, tensors on the CPU.

    Raises pickle.UnpicklingError where it holds more than tensors and plain values, ValueError
    where it is no such file, is damaged, or asks for more memory than it has bytes.
    """
    check(file, size)
    file.seek(0)
    try:
        with warnings.catch_warnings(action="ignore"):  # of protocols
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(reason[:300]) from None


def check(file: IO[bytes], size: int) -> None:
    """Raise ValueError where a file is not from `torch.save`, is damaged, or breaks a limit."""
    file.seek(0)
    start = file.read(len(ZIP))
    file.seek(0)
    if start == ZIP:
        content = io.BytesIO(pickle_of(file, size))
        pickle_limits.check(content, MOST_BYTES)
        return
    if not start.startswith(OLD):
        raise ValueError("torch.save did not write it")
    content = io.BytesIO(file.read(MOST_BYTES))
    for _ in range(PICKLES):
        if content.read(1):
            content.seek(-1, io.SEEK_CUR)
            pickle_limits.check(content, MOST_BYTES)


def pickle_of(file: IO[bytes], size: int) -> bytes:
    """The pickle in a zip archive of torch, whose entries are not compressed.

    Raises ValueError where there is not one, or the entries are larger than the archive.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > size:
                raise ValueError("its entries are compressed, which torch.save does not do")
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            if len(names) != 1:
                raise ValueError(f"it has {len(names)} entries data.pkl instead of one")
            with archive.open(names[0]) as entry:
                content = entry.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(str(error)) from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"its pickle has more than {MOST_BYTES} bytes")
    return content


def is_plain(tensor: Tensor) -> bool:
    """Test whether a tensor is dense, on the CPU, and no large one repeats elements in memory."""
    dense = tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_nested
    if not dense or tensor.device.type != "cpu":
        return False
    size = tensor.numel() * tensor.element_size()
    return size <= max(SMALL, tensor.untyped_storage().nbytes())
