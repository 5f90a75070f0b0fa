"""Figures of a sequence of tasks: accuracies by task, their matrix, the metrics of forgetting, and
the sharpness after each task.

Needs no torch. Start with `task_accuracy.py`.
"""
