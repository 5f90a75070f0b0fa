"""Limits of this process: cores, control groups, and other processes that a launcher started."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

WORLD_SIZES = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")  # set by torchrun, mpirun
GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def check_single_process() -> None:
    """Raise ValueError where a launcher has started several processes."""
    for name in WORLD_SIZES:
        size = os.environ.get(name, "1")
        if size.isdigit() and int(size) > 1:
            raise ValueError(
                "This runs in one process: several would write into one folder. "
                f"Got {name}={size}: start it without torchrun or mpirun, or unset {name}."
            )


def usable_cores() -> int:
    """Number of cores that this process may use, at least 1.

    Those that it is bound to, as a job of Slurm is, and at most as many as the time that a
    container's limit allows (control groups of Linux), rounded up.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [quota for group in control_groups("cpu") if (quota := _quota(group))]
    return max(1, min([bound or 1, *map(math.ceil, quotas)]))


def control_groups(controller: str) -> Iterator[Path]:
    """Folders of the control groups that this process is in and that may limit it: its own, those
    around it, up to the outermost; none where the system has no such groups.

    controller: "cpu" or "memory".
    """
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        for root in (GROUPS / controller,) if controllers else (GROUPS, GROUPS / "unified"):
            own = root / path.lstrip("/")
            yield from (f for f in (own, *own.parents) if f.is_relative_to(root) and f.is_dir())


def _quota(group: Path) -> float | None:
    """Processor seconds a second that a control group has, of version 2 or 1; None: no limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = map(float, (group / "cpu.max").read_text(encoding="ascii").split())
        else:
            quota, period = (
                float((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii"))
                for name in ("quota", "period")
            )
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return quota / period if quota > 0 else None


def spare_other_programs() -> None:
    """Let torch's idle threads sleep, and start as many as there are usable cores.

    By default they wait busily for the next loop: on a machine whose cores have other work, and in
    a container that may use few of them, a small network then takes several times as long. OpenMP
    reads the variables when torch is imported; those that are set stay.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    cores = usable_cores()
    if cores < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(cores))
