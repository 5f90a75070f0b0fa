"""Learning rates over the budget; `spent` is the share of the budget gone, in [0, 1)."""

import math
from bisect import bisect_right
from collections.abc import Sequence

from landscape.training.optimizer.schedules import SCHEDULES, table
from landscape.training.settings import TrainingSettings

_SMALLEST_RISE = 1e-3  # the first step of a warm-up moves, too


class Rates:
    """Learning rate of each parameter group over the budget.

    rates: of the groups, before any schedule; steps: of the whole budget, for schedules of torch
    that count steps.
    """

    def __init__(self, settings: TrainingSettings, rates: Sequence[float], steps: int):
        self.settings, self.rates = settings, list(rates)
        self.rows: list[list[float]] | None = None
        if settings.schedule in SCHEDULES:
            count = settings.epochs if settings.schedule_unit == "epoch" else steps
            self.rows = table(settings.schedule, settings.schedule_args, self.rates, count)

    def __call__(self, spent: float) -> list[float]:
        """Rates at a share of the budget."""
        if self.rows is None:
            now = factor(self.settings, spent)
            return [rate * now for rate in self.rates]
        row = self.rows[min(int(spent * len(self.rows) + 1e-6), len(self.rows) - 1)]
        rise = _rise(self.settings, spent)
        return [rate * rise for rate in row]


def factor(settings: TrainingSettings, spent: float) -> float:
    """Factor of the learning rate for our own schedules.

    Linear rise over `warmup`, then: cosine to zero over the rest (Loshchilov and Hutter 2017), or
    `gamma` for each milestone passed, or constant.
    """
    if spent < settings.warmup:
        return _rise(settings, spent)
    if settings.schedule == "cosine":
        rest = (spent - settings.warmup) / (1 - settings.warmup)
        return 0.5 * (1 + math.cos(math.pi * rest))
    if settings.schedule == "step":
        return settings.gamma ** bisect_right(sorted(settings.milestones), spent)
    return 1.0


def _rise(settings: TrainingSettings, spent: float) -> float:
    """Factor of a warm-up, 1 after it."""
    if spent >= settings.warmup:
        return 1.0
    return (spent + _SMALLEST_RISE) / (settings.warmup + _SMALLEST_RISE)
