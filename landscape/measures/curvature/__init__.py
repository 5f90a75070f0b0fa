"""Curvature matrices as products: Hessian, Gauss-Newton, one layer's block.

Adapters to other solvers (curvlinops, PyHessian) stand here too. Imports `objective` and `linalg`.
Start with `operator.py`.
"""
