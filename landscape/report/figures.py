"""The figures of a report: what is drawn, and one sentence each on how to read it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from landscape import plots
from landscape.report.contents import Contents
from landscape.report.story import name
from landscape.report.verdict import COSTS


@dataclass(frozen=True, eq=False)
class Shown:
    """A matplotlib figure in its place. reading: how to read it; alt: what a listener is told."""

    name: str
    title: str
    figure: Figure
    reading: str
    alt: str


TITLES = {
    "comparison": "What each method reached",
    "differences": "Distance to the baseline",
    "curves": "Training",
    "radius": "The radius that was learned",
    "stability": "Sharpness over training",
    "spectrum": "Curvature of the minima",
    "noise": "Robustness to noise on the weights",
    "surface": "The loss around each minimum",
    "scatter": "Flatness against generalisation",
}
READINGS = {
    "comparison": "Each dot is a mean over seeds, its bar the 95 % interval of that mean. Whether "
    "two bars overlap is no test: the next figure has the differences.",
    "differences": "Each dot is a mean paired difference to the baseline. Where its bar crosses "
    "the line at zero, no difference is shown.",
    "curves": "The lower the loss at the same place, the faster the training. Each line is a "
    "mean over seeds, its band the 95 % interval; the accuracy axis starts after the first climb.",
    "radius": "Left, the radius of the perturbation over training. Right, how often the gradient "
    "of the gap and the effect of the radius pointed apart: at one half the radius wanders, away "
    "from it the radius is driven.",
    "stability": "Gradient descent drives λ max up to the dashed line, where its steps begin to "
    "overshoot, and then stays there; steps with noise, and steps that look around, stay below.",
    "spectrum": "Each column is one minimum, each marker one eigenvalue of the Hessian. The higher "
    "the topmost, the sharper the minimum; along hollow ones, below zero, the loss bends down.",
    "noise": "The further right a curve stays up (accuracy) or down (loss), the more noise its "
    "minima bear. The levels are spaced by their square roots.",
    "surface": "All panels share axes and colours: a wider dark basin is a flatter minimum in this "
    "plane. It is one plane of very many, so the eigenvalues are the stronger evidence.",
    "scatter": "If flatter minima generalised better, the points would rise to the right (and fall "
    "for the noise that is borne), within each method as well as between methods.",
}


ONE_SEED = {
    "comparison": "Each dot is one run. One seed: no interval, no verdict.",
    "curves": "The lower the loss at the same place, the faster the training. Each line is one "
    "run; the accuracy axis starts after the first climb.",
}


def figures(contents: Contents) -> list[Shown]:
    """All that the records allow, in the order of the page."""
    estimated = any(metric not in COSTS for metric in contents.computed)
    paired = estimated and bool(np.isfinite(contents.comparison.difference_low).any())
    readings = READINGS if contents.seeds > 1 else READINGS | ONE_SEED
    draws: dict[str, Callable[[], Figure] | None] = {
        "comparison": (lambda: plots.comparison(contents.comparison)) if estimated else None,
        "differences": (lambda: plots.differences(contents.comparison)) if paired else None,
        "curves": _cells(contents, "curves"),
        "radius": _cells(contents, "radius"),
        "stability": _cells(contents, "stability"),
        "spectrum": _cells(contents, "spectrum"),
        "noise": _cells(contents, "noise"),
        "surface": (lambda: plots.surface(drawable(contents))) if drawable(contents) else None,
        "scatter": _scatter(contents),
    }
    who = ", ".join(name(method) for method in contents.methods)
    return [
        Shown(key, TITLES[key], draw(), readings[key], f"{TITLES[key]}: {who}. {readings[key]}")
        for key, draw in draws.items()
        if draw is not None
    ]


def drawable(contents: Contents) -> dict[str, list[Any]]:
    """Surfaces with at least one finite loss, the first of each method."""
    found = {
        method: [r for r in records if np.isfinite(r.loss).any()][:1]
        for method, records in contents.records("surface").items()
    }
    return {method: records for method, records in found.items() if records}


def _cells(contents: Contents, plot: str) -> Callable[[], Figure] | None:
    records = contents.records(plots.DRAWS[plot])
    return (lambda: plots.PLOTS[plot](records)) if records else None


def _scatter(contents: Contents) -> Callable[[], Figure] | None:
    if not np.isfinite(contents.comparison.tau).any():
        return None
    return lambda: plots.scatter(contents.study, contents.comparison)
