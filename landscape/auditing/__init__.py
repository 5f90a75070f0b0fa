"""Hold measures of one checkpoint against thresholds that the user sets.

Imports `analysis` and `report`. Start with `run.py`; `requirements.py` and `verdicts.py` are plain
numbers and need no torch; `page.py` writes the files.
"""
