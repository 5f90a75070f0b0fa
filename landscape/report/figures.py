"""The figures of a report: what is drawn, and one sentence each on how to read it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from landscape import plots
from landscape.plots.drawing.style import small_print
from landscape.plots.noise_difference import paired_differences
from landscape.records.scores import ACCURACY
from landscape.report.contents import Contents
from landscape.report.figure_summaries import summary
from landscape.report.verdict import COSTS
from landscape.report.wording import method_name


@dataclass(frozen=True, eq=False)
class Shown:
    """A figure in its place; how_to_read and summary: one sentence each for its caption.

    draw: makes the figure for paper. charted: the figure that the page draws again as charts; None
    where there is none.
    """

    name: str
    title: str
    draw: Callable[[], Figure]
    how_to_read: str
    summary: str = ""
    charted: Figure | None = None

    @functools.cached_property
    def figure(self) -> Figure:
        """The figure for paper, drawn when it is first asked for."""
        if self.charted is not None and self.name not in CURVES:
            return self.charted
        return self.draw()

    @property
    def coloured(self) -> bool:
        """True where each point needs its method's colour."""
        return self.name == "scatter"

    @property
    def focused(self) -> bool:
        """True where methods are curves or points, not places along an axis."""
        return self.name not in ("comparison", "differences")

    @property
    def alt(self) -> str:
        """Alternative text for screen readers."""
        return " ".join(filter(None, [f"{self.title}.", self.summary, self.how_to_read]))

    @property
    def conditions(self) -> str:
        """The small print under the drawing."""
        return small_print(self.charted or self.figure)


TITLES = {
    "comparison": "Results by method",
    "differences": "Differences from the baseline, by metric",
    "curves": "Training curves",
    "radius": "Learned radius",
    "stability": "Sharpness during training",
    "displacement": "How far each part moved from the weights it started from",
    "task_accuracy": "Accuracy on each task while others are learned",
    "accuracy_matrix": "Accuracy on every task after every task",
    "lifelong_metrics": "Average accuracy, forgetting and transfer",
    "task_sharpness": "Sharpness after each task, and the way back to it",
    "spectrum": "Eigenvalues of the Hessian",
    "eigenvalue_count": "How many eigenvalues of the Hessian lie above λ",
    "density": "How many directions have which curvature",
    "noise_difference": "Accuracy under noise on the weights, points above {baseline}",
    "noise": "Accuracy and loss under noise on the weights",
    "quantization": "Accuracy and loss after rounding the weights",
    "pruning": "Accuracy and loss without the smallest weights",
    "worst_case": "Highest loss found within a radius (lower bound)",
    "sharpness": "How much the loss can rise within a radius",
    "critical_sharpness": "Sharpness along the gradient",
    "adaptive_sharpness": "How much the loss rises when weights change by a share of themselves",
    "batch_eigenvalues": "Eigenvalues of the Hessian over mini-batches",
    "pac_bayes": "How much noise on all weights is borne",
    "fisher_rao": "Fisher–Rao norm",
    "calibration": "Calibration: accuracy over confidence",
    "rise_area": "How far the weights can move before the loss rises",
    "surface": "Loss surfaces",
    "surface-trajectory": "Loss on the plane of each training",
    "surface-minima": "Loss on the plane of the minima",
    "surface-eigenvectors": "Loss along eigenvectors of the Hessian",
    "profile": "Loss profiles along lines",
    "path": "Paths between minima",
    "scatter": "Do flatter minima generalise better here?",
}
# Figures of curves, which stand as small multiples on paper: their panels when overlaid.
CURVES = {"curves": 2, "eigenvalue_count": 1, "density": 1, "noise_difference": 1,
          "noise": 2, "pruning": 2, "worst_case": 2, "sharpness": 2,
          "adaptive_sharpness": 2, "calibration": 1, "displacement": 2}  # fmt: skip
HOW_TO_READ = {
    "comparison": "Each dot is a mean over seeds, each bar the 95 % interval of that mean. Whether "
    "two bars overlap is not a test; the differences from the baseline are.",
    "differences": "Each dot is a mean paired difference, each bar its 95 % interval. Filled dots "
    "are significant: the interval excludes zero and the p value is below 0.05 after Holm’s "
    "correction over the methods. Hollow dots are not, even where the bar misses zero.",
    "curves": "Each line is a mean over seeds, each band its 95 % interval. The accuracy axis "
    "starts after the first climb.",
    "radius": "Left: the radius of the perturbation over training. Right: how often the gradient "
    "of the gap and the effect of the radius had opposite signs. At one half the radius performs "
    "a random walk; away from it the radius is driven in one direction.",
    "stability": "Dashed: the stability threshold, the curvature above which steps of the base "
    "optimizer overshoot. Full-batch gradient descent tends to rise to it and stay near it.",
    "displacement": "Rows are the parts of the network from the input to the output. Left the "
    "distance from the first weights as a share of their norm, right the distance itself: a large "
    "part goes farther. Each mark is a mean over seeds, each bar its 95 % interval. Hollow marks "
    "are parts that were drawn at the start, so their distance is from random weights.",
    "task_accuracy": "Each panel is one task, each line a mean over seeds with its 95 % interval. "
    "A task is learned at the dotted line; a fall to the right of it is forgetting.",
    "accuracy_matrix": "Rows are the tasks in the order of learning, columns the tasks that are "
    "tested. Framed is the task just learned; below the frame stands what is left of it later.",
    "lifelong_metrics": "Each bar is a mean over seeds, each line on it the 95 % interval. Whether "
    "two lines overlap is not a test; the differences from the baseline are. Forgetting is the "
    "loss of accuracy since a task was known best, up to the last task but one. Axes "
    "of accuracies do not begin at zero.",
    "task_sharpness": "Left: the largest eigenvalue of the Hessian of the loss on the tasks so "
    "far. Right: accuracy on earlier tasks along the straight line from the weights just after "
    "each of them to the last ones, a mean over the tasks; a curved way may keep more.",
    "spectrum": "Each column is one minimum, each marker one eigenvalue. The largest is the "
    "curvature in the steepest direction; below zero the loss curves down.",
    "eigenvalue_count": "The lower a curve at some λ, the fewer directions curve more than λ. Only "
    "the largest eigenvalues were computed: left of its end a curve is not known. A band without "
    "width, where all seeds have the same number, is not certainty.",
    "density": "How many directions have which curvature, on a logarithmic axis. The right tail "
    "holds the steepest directions; left of zero the loss curves down.",
    "noise_difference": "Above zero a method is more accurate than the baseline under the same "
    "noise. The left end is the difference without noise: what is added to it is robustness. Each "
    "band is of one level and one method, not corrected for looking at many.",
    "noise": "The fall in accuracy or rise in loss from σ = 0 is the cost of the noise. Curves "
    "that start apart differ without noise already, which says nothing about robustness. Noise "
    "levels are spaced by their square roots.",
    "quantization": "The first point is the network as trained, the others have weights rounded to "
    "fewer bits. The change from the first point is the cost of rounding.",
    "pruning": "The smallest weights are set to zero. The change from the left end is the cost of "
    "pruning.",
    "worst_case": "The highest loss that gradient ascent found within each radius, and the "
    "accuracy there. The true worst case is at least as bad.",
    "sharpness": "Left: how much the loss of a batch was seen to rise within each radius; the "
    "smaller the rise, the flatter at that radius. Right: the loss that was reached. Both are "
    "lower bounds.",
    "critical_sharpness": "λ_c = 2/η, η the step along the gradient at which the loss is back "
    "where it began: a mean of curvatures along the gradient, at most the largest eigenvalue.",
    "adaptive_sharpness": "Left: the highest rise that was found in a batch, a lower bound. "
    "Right: the mean rise under random changes. Rescaled neurons change neither.",
    "batch_eigenvalues": "Each dot is a batch. Their mean lies above the dash, the eigenvalue of "
    "all together, whatever the network: it is what a step of SGD meets, not an estimate.",
    "pac_bayes": "The noise at which the error has risen by the stated amount: the further right, "
    "the flatter. Left, noise of one size on all weights; right, in proportion to each weight.",
    "fisher_rao": "How much the predictions change in proportion as all weights grow. It does not "
    "change where neurons are rescaled.",
    "calibration": "On the dotted line a network is right as often as it says. Below it, it is "
    "overconfident. The error never is zero: compare it with what perfect calibration would show.",
    "rise_area": "Red: the loss is higher by the stated rise than at the trained weights (cross), "
    "which need not be the minimum of their plane; the larger the area inside, the flatter. "
    "Lengths are Euclidean: a network whose weights are scaled has another area, so read it "
    "beside ‖w‖.",
    "surface": "All panels share axes and colours. Colours show the loss itself: a minimum with a "
    "lower loss is darker without being flatter. Flatness is how little the loss rises on the way "
    "from the cross outwards. A plane is two of very many directions.",
    "surface-trajectory": "The plane of the two principal directions of the weights along the "
    "training, drawn as a line; it ends at the cross. Most of the way lies off the plane where the "
    "shares of the variance are small.",
    "surface-minima": "One plane through several minima, drawn as markers, near which they lie as "
    "far as the small print says. A ridge between two of them is one along this plane only.",
    "surface-eigenvectors": "The plane of the two eigenvalues of largest size. Colours show the "
    "loss itself; its curvature along the axes is the eigenvalue.",
    "profile": "The loss along lines through each minimum. The rise from the centre is the "
    "sharpness along a line. The band is the range over lines, not a confidence interval.",
    "path": "The loss on the straight line from one minimum to another. A rise above the dotted "
    "line is a barrier along this line; a curved path may have none.",
    "scatter": "Each point is one minimum. Correlation within a method, where only the seed "
    "varies, is stronger evidence than correlation across methods, which differ in more than "
    "flatness.",
}
MAPS = ("rise_area", *(name for name in TITLES if name.startswith("surface")))  # no curves
STILL = ("accuracy_matrix", "lifelong_metrics")  # cells and bars, which no chart has
ONE_SEED = {
    "comparison": "Each dot is one run. One seed: no interval, no verdict.",
    "curves": "Each line is one run. The accuracy axis starts after the first climb.",
}


def figures(contents: Contents) -> list[Shown]:
    """All that the records allow, in the order of the page."""
    estimated = any(metric not in COSTS for metric in contents.computed)
    paired = estimated and bool(np.isfinite(contents.comparison.difference_low).any())
    baseline = method_name(contents.comparison.baseline)
    other_score = contents.study.score != ACCURACY
    more = "has a higher accuracy" if other_score else "is more accurate"
    how_to_read = HOW_TO_READ if contents.seeds > 1 else HOW_TO_READ | ONE_SEED
    draws: dict[str, Callable[..., Figure] | None] = {
        name: _cells(contents, name) for name in TITLES if name in plots.DRAWS
    }
    draws |= {
        "comparison": (lambda: plots.comparison(contents.comparison)) if estimated else None,
        "differences": (lambda: plots.differences(contents.comparison)) if paired else None,
        **{name: _surface(contents, name) for name in MAPS if name != "rise_area"},
        "noise_difference": _noise_difference(contents),
        "task_sharpness": _task_sharpness(contents),
        "scatter": _scatter(contents),
    }
    return [
        Shown(name, contents.words(TITLES[name].format(baseline=baseline)), draw,
              contents.words(how_to_read[name].replace("is more accurate", more)),
              summary(contents, name), _charted(name, draw))
        for name in TITLES
        if (draw := draws[name]) is not None
    ]  # fmt: skip


def _surface(contents: Contents, name: str) -> Callable[[], Figure] | None:
    found = drawable(contents, name)
    return (lambda: plots.surface(found)) if found else None


def drawable(contents: Contents, name: str = "surface") -> dict[str, list[Any]]:
    """Surfaces with at least one finite loss, the first of each method.

    name: of the record, as surface-trajectory for one along other directions.
    """
    found = {
        method: [r for r in records if np.isfinite(r.loss).any()][:1]
        for method, records in contents.records(name).items()
    }
    shown = [records[0].directions for records in found.values() if records]
    usual = max(shown, key=shown.count, default="")  # others cannot stand beside them
    return {
        m: records for m, records in found.items() if records and records[0].directions == usual
    }


def _cells(contents: Contents, plot: str) -> Callable[..., Figure] | None:
    records = contents.records(plots.DRAWS[plot])
    asked = {"baseline": contents.comparison.baseline} if plot in CURVES else {}
    return functools.partial(plots.PLOTS[plot], records, **asked) if records else None


def _noise_difference(contents: Contents) -> Callable[..., Figure] | None:
    """Drawn where it has an interval, and where all records answer the same question."""
    records, baseline = contents.by_seed("noise"), contents.comparison.baseline
    try:
        found = paired_differences(records, baseline)
    except ValueError:
        return None
    if not any(len(d) > 1 and np.isfinite(d).any() for m, d in found.items() if m != baseline):
        return None
    return functools.partial(plots.noise_difference, records, baseline)


def _task_sharpness(contents: Contents) -> Callable[..., Figure] | None:
    """Drawn where a run was measured after each task."""
    records = contents.records("lifelong")
    measured = any(r.path_accuracy is not None for held in records.values() for r in held)
    return functools.partial(plots.task_sharpness, records) if measured else None


def _charted(name: str, draw: Callable[..., Figure]) -> Figure | None:
    """The figure for a chart: all curves of a quantity in one panel."""
    if name in (*MAPS, *STILL):
        return None
    if name not in CURVES:
        return draw()
    overlaid = Figure(figsize=(7, 3), layout="constrained")
    panels = overlaid.subplots(1, CURVES[name], squeeze=False).ravel()
    draw(ax=list(panels))
    return overlaid


def _scatter(contents: Contents) -> Callable[[], Figure] | None:
    if not np.isfinite(contents.comparison.tau).any():
        return None
    return lambda: plots.scatter(contents.study, contents.comparison)
