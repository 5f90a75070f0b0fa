"""The figures of a report: what is drawn, and one sentence each on how to read it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from landscape import plots
from landscape.plots import interactive
from landscape.plots.drawing.style import small_print
from landscape.report.contents import Contents
from landscape.report.figure_summaries import summary
from landscape.report.verdict import COSTS


@dataclass(frozen=True, eq=False)
class Shown:
    """A figure in its place; how_to_read and summary: one sentence each for its caption.

    live: plotly figures of the same numbers, one per panel, where the page has them.
    """

    name: str
    title: str
    figure: Figure
    how_to_read: str
    summary: str = ""
    live: Sequence[Any] = ()

    @property
    def alt(self) -> str:
        """What a listener is told."""
        return " ".join(filter(None, [f"{self.title}.", self.summary, self.how_to_read]))

    @property
    def conditions(self) -> str:
        """The small print under the drawing."""
        return small_print(self.figure)


TITLES = {
    "comparison": "What each method reached",
    "differences": "Distance to the baseline",
    "curves": "Training",
    "radius": "The radius that was learned",
    "stability": "Sharpness over training",
    "spectrum": "Curvature of the minima",
    "density": "All eigenvalues of the minima",
    "noise": "Robustness to noise on the weights",
    "quantization": "Weights of few bits",
    "pruning": "Without the smallest weights",
    "worst_case": "The worst that was found nearby",
    "sharpness": "Sharpness over the radius",
    "surface": "The loss around each minimum",
    "profile": "The loss along lines",
    "path": "Between two minima",
    "scatter": "Flatness against generalisation",
}
HOW_TO_READ = {
    "comparison": "Each dot is a mean over seeds, its bar the 95 % interval of that mean. Whether "
    "two bars overlap is no test: the next figure has the differences.",
    "differences": "Each dot is a mean paired difference to the baseline. Where its bar crosses "
    "the line at zero, no difference is shown.",
    "curves": "The lower the loss at the same place, the faster the training. Each line is a "
    "mean over seeds, its band the 95 % interval; the accuracy axis starts after the first climb.",
    "radius": "Left, the radius of the perturbation over training. Right, how often the gradient "
    "of the gap and the effect of the radius pointed apart: at one half the radius wanders, away "
    "from it the radius is driven.",
    "stability": "Dashed: the curvature from which on the steps of the base optimizer overshoot. "
    "Gradient descent without noise tends to climb up to it and to stay there.",
    "spectrum": "Each column is one minimum, each marker one eigenvalue of the Hessian. The higher "
    "the topmost, the sharper the minimum; along hollow ones, below zero, the loss bends down.",
    "density": "How many directions have which curvature, on a logarithmic axis: the further right "
    "the tail reaches, the sharper the sharpest directions; left of zero the loss bends down.",
    "noise": "The further right a curve stays up (accuracy) or down (loss), the more noise its "
    "minima bear. The levels are spaced by their square roots.",
    "quantization": "Left as trained, then with weights rounded ever more coarsely: the later a "
    "line leaves its first dot, the fewer bits its minima need.",
    "pruning": "The further right a curve stays where it starts, the more of its weights the "
    "network can do without.",
    "worst_case": "The loss at the worst point that gradient ascent found within each radius, and "
    "the accuracy there. The true worst case is at least as bad.",
    "sharpness": "How much the loss of a batch was seen to rise within each radius, and the loss "
    "that this leads to. Both are lower bounds; the lower the line, the flatter.",
    "surface": "All panels share axes and colours: a wider dark basin is a flatter minimum in this "
    "plane. It is one plane of very many, so the eigenvalues are the stronger evidence.",
    "profile": "The loss on the way out from each minimum. The band is the spread over directions, "
    "from the lowest to the highest, and no interval.",
    "path": "The loss on the straight line from one minimum to another. A hill above the dotted "
    "line is a barrier: the two do not lie in one basin along this line.",
    "scatter": "If flatter minima generalised better, the points would rise to the right (and fall "
    "for the noise that is borne), within each method as well as between methods.",
}
ONE_SEED = {
    "comparison": "Each dot is one run. One seed: no interval, no verdict.",
    "curves": "The lower the loss at the same place, the faster the training. Each line is one "
    "run; the accuracy axis starts after the first climb.",
}
LIVE: dict[str, Callable[..., list[Any]]] = {  # figures that answer to the pointer
    "spectrum": interactive.spectrum,
    "density": interactive.density,
    "noise": interactive.noise,
}


def figures(contents: Contents) -> list[Shown]:
    """All that the records allow, in the order of the page."""
    estimated = any(metric not in COSTS for metric in contents.computed)
    paired = estimated and bool(np.isfinite(contents.comparison.difference_low).any())
    how_to_read = HOW_TO_READ if contents.seeds > 1 else HOW_TO_READ | ONE_SEED
    draws: dict[str, Callable[[], Figure] | None] = {
        name: _cells(contents, name) for name in TITLES if name in plots.DRAWS
    }
    draws |= {
        "comparison": (lambda: plots.comparison(contents.comparison)) if estimated else None,
        "differences": (lambda: plots.differences(contents.comparison)) if paired else None,
        "surface": (lambda: plots.surface(drawable(contents))) if drawable(contents) else None,
        "scatter": _scatter(contents),
    }
    return [
        Shown(name, TITLES[name], draw(), how_to_read[name], summary(contents, name),
              _live(contents, name))
        for name in TITLES
        if (draw := draws[name]) is not None
    ]  # fmt: skip


def _live(contents: Contents, name: str) -> Sequence[Any]:
    if name == "scatter":
        return interactive.scatter(contents.study, contents.comparison)
    return LIVE[name](contents.by_seed(plots.DRAWS[name])) if name in LIVE else ()


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
