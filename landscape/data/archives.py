"""Unpack tar and zip files of strangers: nothing leaves the folder, no links, no floods."""

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from landscape.utils import files

MOST_BYTES = 2**31  # the largest archive that we read, CIFAR, unpacks to a tenth of it
MOST_FILES = 10_000  # folders among them
MOST_DEPTH = 32  # folders within each other
MOST_HEADER = 2**20  # bytes of a tar's header, which is read in one piece

# A small file must not unpack to a large one: photographs shrink by a few times, text by ten.
MOST_RATIO, SMALL = 100, 2**26

DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError,
    NotImplementedError, RuntimeError, ValueError, OverflowError, MemoryError, OSError,
)  # fmt: skip
COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}

Member = tuple[str, int]  # name, bytes when unpacked


class _Refused(ValueError):
    """An archive that is readable, and breaks a rule."""


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The files of an archive in a folder of their own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="landscape-") as folder:
        unpack(path, Path(folder))
        yield Path(folder)


def unpack(path: Path, folder: Path) -> None:
    """Write an archive's plain files below `folder`: .zip, or .tar as it is or compressed.

    Raises ValueError, with nothing written outside of `folder`, where the archive is damaged, names
    a file outside of itself, holds links or devices, more than MOST_FILES, folders more than
    MOST_DEPTH deep, or more than `most_bytes`.
    """
    zipped = zipfile.is_zipfile(path)
    try:
        _check(path, _of_zip(path) if zipped else _of_tar(path))
        if zipped:
            shutil.unpack_archive(path, folder, "zip")
        else:
            shutil.unpack_archive(path, folder, "tar", filter="data")
    except _Refused:
        raise
    except DAMAGED as error:
        clash = FileExistsError, NotADirectoryError, IsADirectoryError
        if isinstance(error, OSError) and error.errno and not isinstance(error, clash):
            raise
        why = files.one_line(error)
        raise ValueError(f"{path} must be a complete tar or zip archive. Got: {why}.") from error


def most_bytes(path: Path) -> int:
    """Bytes that a file may unpack to: MOST_RATIO times its size, SMALL at least."""
    return min(MOST_BYTES, max(SMALL, MOST_RATIO * path.stat().st_size))


def _check(path: Path, members: Iterator[Member]) -> None:
    """Refuse by the list of members, read as far as the first fault, before anything is written."""
    count = size = 0
    most = most_bytes(path)
    for name, length in members:
        count, size = count + 1, size + length
        _require(count <= MOST_FILES, path, f"hold at most {MOST_FILES} files", "more")
        _require(size <= most, path, f"unpack to at most {most} bytes", "more")
        parts = PurePosixPath(name).parts
        _require(len(parts) <= MOST_DEPTH, path, f"be at most {MOST_DEPTH} folders deep", "more")
        outside = PurePosixPath(name).is_absolute() or ".." in name or "\\" in name or ":" in name
        inside = bool(parts) and not outside
        _require(inside, path, "stay inside its folder", repr(name))


def _of_tar(path: Path) -> Iterator[Member]:
    with path.open("rb") as file:
        opened = next(
            (o for magic, o in COMPRESSED.items() if file.peek(6).startswith(magic)), None
        )
        with (
            file if opened is None else opened(file) as content,
            tarfile.open(fileobj=_ShortReads(content, path), mode="r:") as archive,
        ):
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # kept for nothing
                kind = member.isreg() or member.isdir()
                _require(kind, path, "hold plain files only", repr(member.name))
                if not _is_root(member):
                    yield member.name, member.size


def _is_root(member: tarfile.TarInfo) -> bool:
    """Test for the entry "./" that `tar c .` begins with."""
    return member.isdir() and not PurePosixPath(member.name).parts


class _ShortReads(io.RawIOBase):
    """A file that is read in pieces of MOST_HEADER bytes at most, as tarfile reads honest ones."""

    def __init__(self, file: IO[bytes], path: Path):
        self._file, self._path = file, path

    def read(self, size: int = -1) -> bytes:
        _require(
            0 <= size <= MOST_HEADER, self._path, "have short names and headers", "longer ones"
        )
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _of_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                kind = info.external_attr >> 28  # of Unix: 8 a plain file, 10 a link, 0 not said
                _require(kind in (0, 8), path, "hold plain files only", repr(info.filename))
                encrypted = info.flag_bits & 1
                _require(not encrypted, path, "be readable without a password", "encrypted")
            yield info.filename, info.file_size


def _require(holds: bool, path: Path, rule: str, got: str) -> None:
    if not holds:
        raise _Refused(f"{path} must {rule}. Got {got}.")
