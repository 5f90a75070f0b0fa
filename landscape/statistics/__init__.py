"""Compare minima from their records: intervals, paired tests and rank correlations.

Pure numbers, no torch. Imports `records`. Start with `intervals.py`, then `minima.py`, which turns
a study's record into a comparison.
"""
