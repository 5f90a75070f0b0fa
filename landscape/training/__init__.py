"""Training of one run: from settings to a folder with weights, metrics and records.

Imports `tasks`, `methods` and `measures`. Start with `train.py`, then `loop.py`; `run.py` opens a
finished run.
"""
