"""The training step's context: all that a method may see and do during one step.

Imports `network`. Start with `walker.py`; the other modules let it run in a loop that is not ours:
closures, accumulated gradients, several ranks.
"""
