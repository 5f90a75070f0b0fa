"""Base optimizers and schedules by name: torch's own, and an optimizer of the user's.

Start with `kinds.py`: the names, their arguments, and how one is built from parameter groups.
`schedules.py` has learning rates over a budget. Neither knows the settings of a run.
"""
