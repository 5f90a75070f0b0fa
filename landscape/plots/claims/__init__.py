"""Figures of claims: a forest plot of their gains.

Needs no torch and no data. Imports `statistics`. Start with `forest.py`.
"""
