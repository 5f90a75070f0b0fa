"""Lock of a folder: names its holder, and is free once the holder is gone."""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landscape.utils import files

try:
    import fcntl
except ImportError:  # Windows has no flock; there the holder's file alone decides
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # a stranger's link would have its target emptied
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """While open, no other process writes into the folder; left-over temporary files are removed.

    The lock is flock on folder/.lock, which the system takes back when its holder ends, however it
    ends. Linux passes it on to NFS servers (from kernel 2.6.12), which free it when the lease of a
    vanished client runs out. Where a file system has no locks, the holder's file decides: it is
    taken over when its process is gone from the same host.

    A new folder that nothing was written to is gone afterwards.

    Raises ValueError that names the holder where another process writes there.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    handle = _acquired(path)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(_myself()).encode(), 0)
        files.sweep(folder)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _acquired(path: Path) -> int:
    """An open handle of the file that this process has locked."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        try:
            if not _try(handle):
                raise ValueError(_refusal(path))
            # The former holder may have removed the file between the opening and the lock.
            if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _try(handle: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            if error.errno not in NO_LOCKS:
                raise
    return _is_gone(_holder(os.pread(handle, 4096, 0)))


def _myself() -> dict[str, object]:
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": now}


def _holder(content: bytes) -> dict[str, object]:
    try:
        holder = json.loads(content)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _is_gone(holder: dict[str, object]) -> bool:
    """Test whether the process of a holder's file has ended, as far as this host can know."""
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid < 1:
        return True
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return pid == os.getpid()


def _refusal(path: Path) -> str:
    holder = _holder(path.read_bytes() if path.exists() else b"")
    who = "another process"
    if holder:
        who = f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('since')}"
    return (
        f"{path.parent} is being written by {who}. "
        "Wait until it has ended, or choose another folder."
    )
