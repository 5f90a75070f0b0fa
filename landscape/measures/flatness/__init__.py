"""The second derivatives of one linear layer that relative flatness needs.

Imports `objective` and `linalg`. Start with `layer.py`; `random_signs.py` estimates what is too
large to be computed exactly.
"""
