"""Files are written whole or not at all, and read back only if they are what was written."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPORARY = ".tmp"
FULL = (errno.ENOSPC, errno.EDQUOT)


def write(path: Path, data: bytes | str) -> None:
    """Write a file atomically: temporary file, fsync, rename, fsync of the folder.

    Raises OSError (no permission, disk full) and then leaves what stood there before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = data.encode() if isinstance(data, str) else data
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
    try:
        with space_for(path, len(content)), os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def space_for(path: Path, size: int) -> Iterator[None]:
    """Name the file, the bytes it needs and those that are free where the disk is full inside."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        why = f"{error.strerror}: {size} bytes are needed, {free} are free"
        raise OSError(error.errno, why, str(path)) from None


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a folder and below it."""
    for path in folder.rglob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON, with NaN and infinities as null."""
    write(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Encode a value as `write_json` does."""
    return (json.dumps(plain(value), indent=1, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Read a JSON file; ValueError with its path if it is not valid."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path} is not valid JSON: it is nested too deeply.") from None
    except ValueError as error:  # no JSON, no UTF-8, or an integer of thousands of digits
        raise ValueError(f"{path} is not valid JSON ({error}). It may be half written.") from None


def read_object(path: Path, **required: type) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    required: the types of the entries that it must have, by name.
    Raises ValueError with the file's path and the first entry that is missing or of another type.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object. Got {type(value).__name__}.")
    for name, kind in required.items():
        if not isinstance(value.get(name), kind) or isinstance(value.get(name), bool):
            raise ValueError(
                f"{path} is damaged: its entry {name!r} must be {kind.__name__}. "
                f"Got {type(value.get(name)).__name__}."
            )
    return value


def plain(value: Any) -> Any:
    """Convert nested values for JSON: numpy to Python, tuples to lists, NaN and inf to None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and value - value != 0.0:
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names, plain values: {"a": {"b": 1}} as {"a.b": 1}."""
    leaves: dict[str, Any] = {}
    for key, value in plain(tree).items():
        leaves |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return leaves


def one_line(error: BaseException) -> str:
    """Say an error of a library in one line: its message, or its kind where it has none."""
    words = " ".join(str(error).split()).rstrip(".")
    return words[:300] or type(error).__name__


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
