"""Engines that share out work: processes of this machine, Dask, Ray, or jobs of Slurm.

Imports `utils` alone: an engine knows items and their ends, not what they are. Start with
`engine.py`; `worker.py` is what all of them do where an item runs, `site.py` what they check there.
"""

from typing import Any

from landscape.engines.engine import End, Engine, Item
from landscape.engines.local import Local
from landscape.engines.with_dask import Dask
from landscape.engines.with_ray import Ray
from landscape.engines.with_slurm import Slurm
from landscape.utils.names import canonical

__all__ = ["ENGINES", "Dask", "End", "Engine", "Item", "Local", "Ray", "Slurm", "engine_of", "make"]

ENGINES: dict[str, type[Engine]] = {"local": Local, "dask": Dask, "ray": Ray, "slurm": Slurm}


def make(
    name: str = "local",
    *,
    at: str = "auto",
    workers: int | None = None,
    gpus_per_cell: float = 1.0,
    **args: Any,
) -> Engine:
    """Make an engine by name: "local", "dask", "ray" or "slurm".

    at: the address of a cluster that runs; "auto" finds or starts one, see each engine.
    workers: items at once. gpus_per_cell: the share of a card that an item takes, in (0, 1].
    args: arguments of the library that the engine stands on.

    Raises ValueError for an unknown name or argument, for a library that is not installed, and for
    settings out of range.

    >>> import landscape as ls
    >>> ls.engines.make("local", workers=2)
    Local(at='auto', workers=2, gpus_per_cell=1.0, args={})
    """
    kind = ENGINES[canonical("engine", name, ENGINES)]
    return kind(at, workers, gpus_per_cell, args)


def engine_of(engine: Engine | str, workers: int | None = None) -> Engine:
    """The engine of that name with so many workers; one that is made already has its own.

    Raises ValueError for an unknown name, and for workers beside an engine that is made.
    """
    if isinstance(engine, str):
        return make(engine, workers=workers)
    if workers is not None:
        raise ValueError("`workers` belongs to the engine: engines.make(..., workers=...).")
    return engine
