"""The device that a name stands for."""

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
