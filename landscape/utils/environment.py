"""Software versions and hardware of a computation, without names of people or machines."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("landscape", "torch", "numpy", "scipy", "safetensors", "xarray")


def environment(world_size: int = 1) -> dict[str, Any]:
    """Collect versions, the number of threads, and the CUDA device if there is one.

    world_size: number of processes that computed together; noted where they are several.
    """
    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.system()}
    found |= {package: version_of(package) for package in PACKAGES}
    found["threads"] = torch.get_num_threads()
    if torch.cuda.is_available():
        found["cuda"] = torch.version.cuda
        found["cuda_device"] = torch.cuda.get_device_name()
    if world_size > 1:
        found["world_size"] = world_size
    return found


def processor() -> str:
    """The kind of processor, not the machine."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def version_of(package: str) -> str:
    """Look up a version; cached, because reading metadata takes a fifth of a small measure."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
