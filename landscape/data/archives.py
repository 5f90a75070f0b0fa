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
from typing import IO

MOST_BYTES = 2**31  # the largest archive that we read, CIFAR, unpacks to a tenth of it
MOST_FILES = 10_000

Member = tuple[str, int, IO[bytes]]  # name, bytes when unpacked, content


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The files of an archive in a folder of their own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="landscape-") as folder:
        unpack(path, Path(folder))
        yield Path(folder)


def unpack(path: Path, folder: Path) -> None:
    """Write an archive's plain files below `folder`: .zip, or .tar as it is or compressed.

    Only names and contents are taken over: no owners, no permissions, no dates.

    Raises ValueError, with nothing written outside of `folder`, where the archive is damaged, names
    a file outside of itself, holds links or devices, more than MOST_FILES, or more than MOST_BYTES.
    """
    members = _of_zip if zipfile.is_zipfile(path) else _of_tar
    files = size = 0
    try:
        for name, length, content in members(path):
            files, size = files + 1, size + length
            _require(files <= MOST_FILES, path, f"hold at most {MOST_FILES} files", "more")
            _require(size <= MOST_BYTES, path, f"unpack to at most {MOST_BYTES} bytes", "more")
            target = folder / _inside(path, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} must be a complete tar or zip archive. Got: {error}.") from error


def _of_tar(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isdir():
                continue
            content = archive.extractfile(member) if member.isreg() else None
            if content is None:
                raise ValueError(f"{path} must hold plain files only. Got {member.name!r}.")
            yield member.name, member.size, content


def _of_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            kind = info.external_attr >> 28  # of Unix: 8 a plain file, 10 a link, 0 not said
            _require(kind in (0, 8), path, "hold plain files only", repr(info.filename))
            _require(not info.flag_bits & 1, path, "be readable without a password", "encrypted")
            yield info.filename, info.file_size, archive.open(info)


def _inside(path: Path, name: str) -> PurePosixPath:
    """A member's name as a path that goes down only."""
    parts = PurePosixPath(name)
    outside = parts.is_absolute() or ".." in parts.parts or "\\" in name or ":" in name
    _require(bool(parts.parts) and not outside, path, "stay inside its folder", repr(name))
    return parts


def _require(holds: bool, path: Path, rule: str, found: str) -> None:
    if not holds:
        raise ValueError(f"{path} must {rule}. Got {found}.")
