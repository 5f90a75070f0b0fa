"""What kind of minimum did your optimizer find?

Train a network with several methods, then measure and show the minimum each one found.

    import landscape as ls

    objective = ls.Objective(model, batches, loss)
    ls.measures.Eigenvalues(k=10)(objective).values
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from landscape import measures, methods, optim
from landscape.measures import Plane
from landscape.methods import METHODS
from landscape.objective import Batch, Objective
from landscape.runs import Run
from landscape.study import Study, compare
from landscape.training.train import train

if TYPE_CHECKING:
    from landscape import plots, records

__all__ = [
    "METHODS",
    "Batch",
    "Objective",
    "Plane",
    "Run",
    "Study",
    "compare",
    "measures",
    "methods",
    "optim",
    "plots",
    "records",
    "train",
]


def __getattr__(name: str) -> Any:
    """`ls.plots` is imported when it is used: it brings matplotlib, measuring does not need it."""
    if name in ("plots", "records"):
        return import_module(f"landscape.{name}")
    raise AttributeError(f"module 'landscape' has no attribute {name!r}")
