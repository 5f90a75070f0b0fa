"""Helpers that know nothing of networks or measures: files, names, progress, seeds, devices.

Imports nothing of the package. `files.py` (atomic writes) and `progress.py` (the events that a
command shows) are what most other rooms use.
"""
