"""
The edge of stability
=====================

Gradient descent on all training examples at once drives the largest eigenvalue of the Hessian up
to 2/η, where its own steps begin to overshoot, and then stays there (Cohen et al. 2021,
arXiv 2103.00065).
"""

# %%
# Two learning rates, no momentum, a batch as large as the data. With a share of wrong labels the
# network has something to learn for long; without them the curvature of cross-entropy would fall
# again once everything is fitted.

import tempfile
from pathlib import Path

import torch

import landscape as ls
from landscape import plots

torch.set_num_threads(1)  # faster than more, for a network of 4810 weights
folder = Path(tempfile.mkdtemp())
descent = {
    "epochs": 160, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant",
    "measure_every": 8, "measure_examples": 2000, "device": "cpu",
}  # fmt: skip
data = {"batch_size": 2000, "held_out": 0.0, "label_noise": 0.3}
found = {}
for lr in (0.6, 0.8):
    settings = {"data": data, "training": {**descent, "lr": lr}}
    run = ls.train("digits", "sgd", 0, folder / str(lr), settings=settings)
    found[f"sgd@lr-{lr}"] = run.records()["sharpness_over_training"]

# %%
# The later half of each run: λ max is near 2/η, whatever η is.

for record in found.values():
    late = record.lambda_max[len(record.step) // 2 :]
    print(f"2/η = {record.threshold[0]:.2f}: λ max {late.min():.2f} to {late.max():.2f}")

# %%
# Dashed: 2/η. The loss still falls, not step by step but over longer times.

plots.stability(found, quantities=("lambda_max", "loss"))
