"""Networks, losses and batches from outside, and what is right on them by plain torch."""

from differential import images, layers, losses, parametrised, sequences

CASES = {**losses.CASES, **layers.CASES, **parametrised.CASES, **images.CASES, **sequences.CASES}
