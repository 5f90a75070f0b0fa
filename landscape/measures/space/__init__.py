"""Points around a minimum: planes, grids, filters, scales, and ascent in a ball.

Imports `objective` and `linalg`. Start with `planes.py`; `evaluate_grid.py` walks a grid and goes
on after an interruption.
"""
