"""Refuse to run as one of several processes that would write into the same folder."""

import os

WORLD_SIZES = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")  # set by torchrun, mpirun


def check_single_process() -> None:
    """Raise ValueError where a launcher has started several processes."""
    for name in WORLD_SIZES:
        size = os.environ.get(name, "1")
        if size.isdigit() and int(size) > 1:
            raise ValueError(
                "This runs in one process: several would write into one folder. "
                f"Got {name}={size}: start it without torchrun or mpirun, or unset {name}."
            )
