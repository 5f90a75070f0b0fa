"""A module as a function f(w) of one flat parameter vector, evaluated without side effects.

Imports `utils`. Start with `weights.py` (the vector and the substitution), then `isolation.py`
and `batch_norm.py`.
"""
