"""Protocols beside the plain one: several trainings that make one run.

Each is a sequence of the ordinary `training.loop.Training`, with the same face towards `train.py`.
Start with `lifelong.py`.
"""
