"""Ask measures of a run or of a checkpoint, and keep the answers as records.

Imports `training` and `measures`. Start with `subject.py` (a network on its training and test
data, and the table of which measure looks at which), then `runs.py`.
"""
