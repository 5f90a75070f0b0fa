"""Several processes that compute one thing: sums over ranks, decisions in common, who writes.

Imports `utils`. Start with `ranks.py`.
"""
