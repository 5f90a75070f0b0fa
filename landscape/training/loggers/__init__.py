"""Trackers of experiments behind one protocol: TensorBoard, Weights & Biases, MLflow, one's own.

Start with `log.py`: the protocol, the names, and the rows of a run as scalars.
"""
