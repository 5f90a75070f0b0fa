"""Questions that the model's outputs answer: calibration and the Fisher-Rao norm.

Imports `objective`, `measures.context` and `measures.curvature`. Start with `calibration.py`.
"""
