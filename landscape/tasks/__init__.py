"""Tasks by name, published settings, and the user's own code by reference.

Imports `models`, `data` and `methods`. Start with `registry.py`; `imports.py` decides which
user code may be imported.
"""
