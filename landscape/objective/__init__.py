"""The empirical risk L(w) of a model on fixed data, and its derivatives at any point.

Imports `network`. Start with `objective.py`, the facade that every measure takes; the work is done
in `empirical_risk.py` (how a pass is run) and `curvature_products.py`.
"""

from landscape.network.batch import Batch, Logits, LossFn
from landscape.objective.objective import Objective, Summary

__all__ = ["Batch", "Logits", "LossFn", "Objective", "Summary"]
