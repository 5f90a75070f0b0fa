"""What kind of minimum did your optimizer find?

Train a network with several methods, then measure and show the minimum each one found.

    import landscape as ls

    objective = ls.Objective(model, batches, loss)
    ls.measures.Eigenvalues(k=10)(objective).values
"""

from landscape import measures, methods, optim
from landscape.measures import Plane
from landscape.methods import METHODS
from landscape.objective import Batch, Objective
from landscape.runs import Run
from landscape.study import Study, compare
from landscape.training.train import train

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
    "train",
]
