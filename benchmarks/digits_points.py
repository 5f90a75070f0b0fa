"""The digits MLP at several moments of training, 1,000 training examples; 4,810 weights."""

import copy
import tempfile

import torch

from landscape import Objective, train
from landscape.tasks.registry import cross_entropy


def point(epochs):
    """The objective in float64 after so many epochs."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"training": {"epochs": max(epochs, 1), "device": "cpu"}}
        run = train("digits", "sgd", 0, folder, settings=settings)
        objective = run.objective("train", examples=1000)
        model = objective.model.double()
        if not epochs:
            torch.manual_seed(0)
            model = run.task.build().double()
    pairs = [(b.x.double(), b.y) for b in objective.batches]
    return Objective(model, pairs, cross_entropy)


def as_float32(objective):
    """The same point and data in float32."""
    model = copy.deepcopy(objective.model).float()
    return Objective(model, [(b.x.float(), b.y) for b in objective.batches], cross_entropy)
