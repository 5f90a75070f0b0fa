"""Ends of a training before its budget is used up.

Imports utils, network and settings only: the loop asks it after an epoch. Start with `at_loss.py`,
which ends a training where its loss has come down to a level.
"""
