"""Figures of a grid of networks: which measure predicts, along which axis, and the networks.

Needs no torch and no data. Imports `statistics`. Start with `matrix.py`.
"""
