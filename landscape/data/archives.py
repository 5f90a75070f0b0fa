"""Unpack tar and zip files of strangers: nothing leaves the folder, no links, no floods."""

import gzip
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

MOST_BYTES = 2**31  # the largest archive that we read, CIFAR, unpacks to a tenth of it
MOST_FILES = 10_000

Member = tuple[str, int]  # name, bytes when unpacked


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The files of an archive in a folder of their own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="landscape-") as folder:
        unpack(path, Path(folder))
        yield Path(folder)


def unpack(path: Path, folder: Path) -> None:
    """Write an archive's plain files below `folder`: .zip, or .tar as it is or compressed.

    Raises ValueError, with nothing written outside of `folder`, where the archive is damaged, names
    a file outside of itself, holds links or devices, more than MOST_FILES, or more than MOST_BYTES.
    """
    zipped = zipfile.is_zipfile(path)
    try:
        _check(path, _of_zip(path) if zipped else _of_tar(path))
        if zipped:
            shutil.unpack_archive(path, folder, "zip")
        else:
            shutil.unpack_archive(path, folder, "tar", filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} must be a complete tar or zip archive. Got: {error}.") from error


def _check(path: Path, members: Iterator[Member]) -> None:
    """Refuse by the list of members, read as far as the first fault, before anything is written."""
    files = size = 0
    for name, length in members:
        files, size = files + 1, size + length
        _require(files <= MOST_FILES, path, f"hold at most {MOST_FILES} files", "more")
        _require(size <= MOST_BYTES, path, f"unpack to at most {MOST_BYTES} bytes", "more")
        parts = PurePosixPath(name)
        outside = parts.is_absolute() or ".." in name or "\\" in name or ":" in name
        inside = bool(parts.parts) and not outside
        _require(inside, path, "stay inside its folder", repr(name))


def _of_tar(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for member in archive:
            if not member.isdir():
                _require(member.isreg(), path, "hold plain files only", repr(member.name))
                yield member.name, member.size


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
        raise ValueError(f"{path} must {rule}. Got {got}.")
