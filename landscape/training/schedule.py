"""Learning-rate factors over the budget; `spent` is the share of the budget gone, in [0, 1)."""

import math
from bisect import bisect_right

from landscape.training.settings import TrainingSettings


def factor(settings: TrainingSettings, spent: float) -> float:
    """Factor of the learning rate.

    Linear rise over `warmup`, then: cosine to zero over the rest (Loshchilov and Hutter 2017), or
    `gamma` for each milestone passed, or constant.
    """
    if spent < settings.warmup:
        return (spent + _SMALLEST_RISE) / (settings.warmup + _SMALLEST_RISE)
    if settings.schedule == "cosine":
        rest = (spent - settings.warmup) / (1 - settings.warmup)
        return 0.5 * (1 + math.cos(math.pi * rest))
    if settings.schedule == "step":
        return settings.gamma ** bisect_right(sorted(settings.milestones), spent)
    return 1.0


_SMALLEST_RISE = 1e-3  # the first step of a warm-up moves, too
