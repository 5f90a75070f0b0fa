"""Every measure where memory runs out for all but a few examples: the same numbers."""

import gc
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from landscape.measures import MEASURES

SETTINGS = {
    "eigenvalues": {"k": 2},
    "trace": {"max_hvps": 40},
    "spectral_density": {"probes": 2, "steps": 5},
    "relative_flatness": {},
    "noise": {"draws": 2, "sigmas": (0.0, 0.05)},
    "quantization": {},
    "pruning": {"fractions": (0.0, 0.5)},
    "worst_case": {"radii": (0.1, 0.2), "steps": 2},
    "sharpness": {"radii": (0.1, 0.2), "steps": 2, "m": 11},
    "rise_area": {"rise": 0.05, "size": 11, "cells": 1.0},
    "critical_sharpness": {},
    "adaptive_sharpness": {"radii": (0.1,), "average_radii": (0.1,), "steps": 2, "m": 11},
    "pac_bayes": {"quantity": "loss", "draws": 2, "deviation": 0.02},
    "batch_eigenvalues": {"m": 4},
    "fisher_rao": {},
    "calibration": {},
    "surface": {"size": 3},
    "profile": {"lines": 2, "size": 3},
    "path": {"end": torch.zeros(53), "size": 3},
}


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch.x), batch.y)


def numbers(record):
    """All that was measured; signs of vectors are free, times and what rounding decides too."""
    return {
        k: v
        for k, v in vars(record).items()
        if isinstance(v, np.ndarray | float) and k not in ("vectors", "product_cost")
    }


@pytest.mark.parametrize("name", MEASURES)
def test_the_same_record(objective, name):
    room = 99

    def loss(model, batch):
        if batch.size > room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return cross_entropy(model, batch)

    measure = MEASURES[name](**SETTINGS[name])
    exact = numbers(measure(objective("mlp")))
    subject = objective("mlp", loss=loss)
    room = 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = numbers(measure(subject))
    assert exact.keys() == found.keys()
    for key, value in exact.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-6, atol=1e-9, err_msg=key)
    assert subject.examples == 11 and max(b.size for b in subject.batches) <= room


@pytest.fixture(scope="module")
def few_objects():
    """The collector passes over all that was there before: a thousandth of the work."""
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("name", MEASURES)
def test_nothing_is_left_of_it_afterwards(objective, name, few_objects):
    """A graph that kept one of its own outputs would stay for ever: no collector sees it."""
    measure = MEASURES[name](**SETTINGS[name])
    counts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            measure(objective("mlp"))
            gc.collect()
            counts.append(sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects()))
    assert counts[2] == counts[1]
