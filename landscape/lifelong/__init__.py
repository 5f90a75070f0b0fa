"""Parts of lifelong learning: a data set whose classes arrive as a sequence of tasks.

Imports `network` and `data`. Start with `settings.py` (the choices), then `sequence.py` (which
examples belong to which task); `training.protocols` trains one task after the other.
"""
