"""Memory: what is free, what was taken, and errors of allocators that say what to lower."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from landscape.utils.processes import control_groups

MOST_KEPT = 2**31  # more vectors gain little
ALLOCATORS = ("not enough memory", "can't allocate memory")  # of torch on the CPU


def ran_out(error: BaseException) -> bool:
    """Tell whether an error speaks of memory that an allocator did not have."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in str(error) for words in ALLOCATORS
    )


@contextmanager
def memory_for(task: str, remedy: str) -> Iterator[None]:
    """Report memory that runs out inside as a ValueError: "Memory ran out in TASK. REMEDY"."""
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
    # Outside of the clause, because the error holds the tensors of its frames.
    raise ValueError(f"Memory ran out in {task}. {remedy}")


def free_bytes(device: torch.device) -> int | None:
    """Bytes that can still be allocated on a device; None where the system does not tell."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    known = [size for size in (_available(), _left_in_group()) if size is not None]
    return min(known, default=None)


def peak_bytes() -> int:
    """Bytes that this process, or its tensors on CUDA, have taken at most; 0 where unknown."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def basis_bytes(device: torch.device) -> int:
    """Bytes for vectors that are kept together: half of what is free, at most 2 GiB."""
    free = free_bytes(device)
    return MOST_KEPT if free is None else min(MOST_KEPT, free // 2)


def graph_bytes(device: torch.device) -> int:
    """Bytes for graphs that are kept: half of what is free on a CUDA device; a quarter on the CPU,
    whose memory several processes may share; 1 GiB where the system does not tell.
    """
    free = free_bytes(device)
    return 2**30 if free is None else free // (2 if device.type == "cuda" else 4)


def _available() -> int | None:
    """Bytes that Linux can hand out without swapping; elsewhere the pages that are unused."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _left_in_group() -> int | None:
    """Bytes left of the nearest limit of the process's control groups, of version 2 or 1."""
    left = [_left(group) for group in control_groups("memory")]
    return min((size for size in left if size is not None), default=None)


def _left(group: Path) -> int | None:
    """Bytes left of a group's limit; files that the system only keeps at hand count as free."""
    for limit, taken, at_hand in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = int((group / limit).read_text(encoding="ascii"))
            used = int((group / taken).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
        return max(0, most - used + _statistics(group).get(at_hand, 0))
    return None


def _statistics(group: Path) -> dict[str, int]:
    try:
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {name: int(value) for name, _, value in (line.partition(" ") for line in lines)}
