"""Networks, losses and batches from outside, and what is right on them by plain torch."""

from differential import images, layers, losses, sequences

CASES = {**losses.CASES, **layers.CASES, **images.CASES, **sequences.CASES}
