"""Measure the minimum that an optimizer found.

Train a network with several methods, then measure and show the minimum each one found.

    import landscape as ls

    objective = ls.Objective(model, batches, loss)
    ls.measures.Eigenvalues(k=10)(objective).values

Names are imported on first use (PEP 562), so that records, plots and reports need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape import engines, measures, methods, optim, plots, records
    from landscape.analysis.analyze import analyze
    from landscape.auditing.run import audit
    from landscape.description import describe
    from landscape.measures import Plane
    from landscape.methods import METHODS
    from landscape.network.batch import Batch
    from landscape.objective import Objective
    from landscape.objective.sharded import ShardedObjective
    from landscape.objective.shards import sharded
    from landscape.study.study import Study, compare
    from landscape.training.run import Run
    from landscape.training.train import train

_HOME = {  # public name -> the module that defines it; None for a room of that name
    "METHODS": "landscape.methods",
    "Batch": "landscape.network.batch",
    "Objective": "landscape.objective",
    "Plane": "landscape.measures",
    "Run": "landscape.training.run",
    "ShardedObjective": "landscape.objective.sharded",
    "Study": "landscape.study.study",
    "analyze": "landscape.analysis.analyze",
    "audit": "landscape.auditing.run",
    "compare": "landscape.study.study",
    "describe": "landscape.description",
    "engines": None,
    "measures": None,
    "methods": None,
    "optim": None,
    "plots": None,
    "records": None,
    "sharded": "landscape.objective.shards",
    "train": "landscape.training.train",
}

__all__ = [
    "METHODS",
    "Batch",
    "Objective",
    "Plane",
    "Run",
    "ShardedObjective",
    "Study",
    "analyze",
    "audit",
    "compare",
    "describe",
    "engines",
    "measures",
    "methods",
    "optim",
    "plots",
    "records",
    "sharded",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'landscape' has no attribute {name!r}")
    home = _HOME[name]
    value = (
        import_module(f"landscape.{name}") if home is None else getattr(import_module(home), name)
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
