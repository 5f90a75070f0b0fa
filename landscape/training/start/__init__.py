"""The weights that a training started from, kept beside it until its end.

Imports utils and records only. Start with `displacement.py`: how far each parameter went from them.
"""
