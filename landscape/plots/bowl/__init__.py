"""Draw the rise of the loss around a minimum as a bowl: a scene to turn around, and animations.

Start with `geometry.py`.
"""
