"""Passes of a training through torch's compiler, where they give the eager ones' numbers.

Imports network, the walker and settings' values only. Start with `trial.py`, which decides it.
"""
