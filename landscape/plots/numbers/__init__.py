"""Figures of measures that give a number or a few of each minimum. Start with `dots.py`."""
