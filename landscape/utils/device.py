"""The device that a name stands for, and the cards that share out work."""

import os

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


def visible_cards() -> list[str]:
    """The CUDA cards that this process sees, by the names that CUDA_VISIBLE_DEVICES takes."""
    return visible_names(torch.cuda.device_count() if torch.cuda.is_available() else 0)


def visible_names(count: int) -> list[str]:
    """The names of so many cards that a process sees."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = chosen.split(",") if chosen else [str(i) for i in range(count)]
    return [name.strip() for name in names[:count]]


def cards_for(name: str) -> list[str]:
    """The cards among which processes of a device may choose; none where it is the CPU, or names
    one itself as "cuda:1" does.
    """
    device = device_of(name)
    return visible_cards() if device.type == "cuda" and device.index is None else []
