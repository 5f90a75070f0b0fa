"""A small grid over a sequence of tasks, its numbers and answers made up: nothing is trained."""

import itertools
import math

import numpy as np

from landscape.statistics.granulated import DOES_NOT, PREDICTS, UNDECIDED, Granulated
from landscape.statistics.grid_answers import Answer, GridAnswers
from landscape.statistics.network_table import REACHED, NetworkTable
from landscape.statistics.rank_correlation import RankCorrelation

AXES = ("learning rate", "width")
POINTS = list(itertools.product(("0.05", "0.1", "0.2"), ("16", "64")))
TARGET = "forgetting"
ROWS = (  # quantity, role, verdict, Holm's p, ψ by axis
    ("lambda_max", "measure", PREDICTS, 0.01, (0.8, 0.5)),
    ("trace", "measure", DOES_NOT, 0.9, (0.05, -0.04)),
    ("kappa", "measure", UNDECIDED, 0.3, (0.4, math.nan)),
    ("forgetting_bound", "measure", UNDECIDED, 0.01, (-0.7, -0.3)),
    ("moved", "yardstick", "", math.nan, (0.9, 0.1)),
)


def correlation(tau: float) -> RankCorrelation:
    if math.isnan(tau):
        return RankCorrelation(math.nan, math.nan, math.nan, 0, 0)
    return RankCorrelation(tau, max(-1.0, tau - 0.15), min(1.0, tau + 0.15), 6, 6)


def answers() -> GridAnswers:
    """Every verdict once, a measure that goes the other way, one without an axis, a yardstick."""
    found = []
    for name, role, verdict, p, psi in ROWS:
        whole = correlation(float(np.nanmean(psi)))
        held = Granulated(
            whole, AXES, tuple(map(correlation, psi)), whole, psi, psi, whole, (-0.2, 0.2), p
        )
        found.append(Answer(TARGET, name, role, held, verdict, p))
    left_out = {"learning rate 0.2, width 64, seed 0": "not reached: task 2, 9 epochs at most"}
    about = {"task": "split-digits", "level": 0.05, "seeds": [0], "measured_after_task": 1}
    return GridAnswers(AXES, found, len(POINTS), left_out, about)


def table() -> NetworkTable:
    """Its last network did not arrive."""
    settings = dict(zip(AXES, zip(*POINTS, strict=True), strict=True))
    rising = np.linspace(0.1, 0.6, len(POINTS))
    numbers = {
        "lambda_max": np.geomspace(0.02, 40, len(POINTS)),
        "kappa": 5 + 10 * rising[::-1],
        "moved": 1 + rising**2,
        TARGET: 0.02 + 0.1 * np.array([0.1, 0.4, 0.3, 0.8, 0.6, 1.0]),
    }
    states = [REACHED] * (len(POINTS) - 1) + list(answers().left_out.values())
    return NetworkTable(settings, [0] * len(POINTS), states, numbers)
