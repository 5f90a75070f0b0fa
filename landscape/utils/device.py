"""The device that a name stands for, and the memory that was used."""

import sys

import torch


def device_of(name: str) -> torch.device:
    """ "auto" is CUDA where there is one, else the CPU.

    Raises ValueError where the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(
            f'`training.device` must be "auto", "cpu" or "cuda". Got {name!r}.'
        ) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("No CUDA device is available. Use --device cpu, or auto.")
    return device


def peak_memory() -> int:
    """Bytes that this process, or its tensors on CUDA, have taken at most; 0 where unknown."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit
