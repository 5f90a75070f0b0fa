"""Shared parts of all figures: styles, colours, bands, contour levels, writing to files.

Needs no torch and no data. Imports `records` and `statistics`. Start with `style.py`, then
`prepare.py`, which turns one record or several into what a figure draws.
"""
