"""What kind of minimum did your optimizer find?"""

from landscape.objective import Batch, Objective

__all__ = ["Batch", "Objective"]
