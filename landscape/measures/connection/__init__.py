"""Ways between two minima: curves that are trained, and permutations of the neurons.

Imports `objective`, `network` and `linalg`. Start with `bezier.py`.
"""
