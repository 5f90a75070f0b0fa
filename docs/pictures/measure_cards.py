"""One picture for each measure's card, and the README's areas, from the records of a study."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import landscape as ls
from landscape import plots, records
from landscape.plots.drawing.method_styles import METHOD_STYLES
from landscape.plots.drawing.prepare import conditions
from landscape.plots.drawing.style import GREY, styled

AREAS = "rise_areas"
SHOWN = ("sgd", "sam", "asam")
WIDTH = 4.8  # inches of the dots
# Measure -> the plot that draws its record, where there is one.
DRAWN = {
    "eigenvalues": "spectrum",
    "spectral_density": "density",
    "noise": "noise",
    "quantization": "quantization",
    "pruning": "pruning",
    "worst_case": "worst_case",
    "sharpness": "sharpness",
    "critical_sharpness": "critical_sharpness",
    "adaptive_sharpness": "adaptive_sharpness",
    "batch_eigenvalues": "batch_eigenvalues",
    "pac_bayes": "pac_bayes",
    "fisher_rao": "fisher_rao",
    "calibration": "calibration",
    "rise_area": "rise_area",
    "surface": "surface",
    "profile": "profile",
}
DOTS = {"trace": "trace of the Hessian", "relative_flatness": "relative flatness κ"}


def pictures_of(study: Path) -> Iterator[tuple[str, Figure]]:
    """(name, figure) of each."""
    yield AREAS, plots.rise_area(by_method(study, "rise_area", METHOD_STYLES))
    for measure, plot in DRAWN.items():
        yield measure, plots.PLOTS[plot](by_method(study, measure))
    for measure, label in DOTS.items():
        yield measure, dots(by_method(study, measure), label)
    yield "path", plots.path(between(study))


def by_method(study: Path, measure: str, methods=SHOWN) -> dict[str, list[records.Record]]:
    """Records of each method's seeds, in the order of the seeds."""
    found = {
        method: [
            records.load(path)
            for path in sorted(study.glob(f"runs/{method}-seed*/records/{measure}.nc"))
        ]
        for method in methods
    }
    return {method: group for method, group in found.items() if group}


@styled
def dots(groups: dict[str, list[records.Record]], label: str) -> Figure:
    """The value of each seed's minimum, a row a method; the bar is its standard error."""
    figure = Figure(figsize=(WIDTH, 1.6), layout="constrained")
    ax = figure.subplots()
    for row, (method, group) in enumerate(groups.items()):
        style = METHOD_STYLES[method]
        height = row + np.linspace(-0.2, 0.2, len(group))
        ax.errorbar(
            [record.value for record in group], height, xerr=[r.stderr for r in group],
            fmt=style.marker, color=style.colour, elinewidth=0.8,
        )  # fmt: skip
    ax.set_yticks(range(len(groups)), [METHOD_STYLES[method].label for method in groups])
    ax.set(xlabel=label, ylim=(len(groups) - 0.5, -0.5))
    ax.set_xlim(left=0)
    small = f"a mark per seed, bar: its standard error · {conditions([*chain(*groups.values())])}"
    figure.supxlabel(small, color=GREY, fontsize=7)
    return figure


def between(study: Path) -> records.Record:
    """The straight line between the minima that SGD found from two seeds."""
    start, end = (
        ls.Run.open(next(study.glob(f"runs/sgd-seed{seed}-*"))).objective() for seed in (0, 1)
    )
    return ls.measures.Path(end=end.w, name="sgd, seed 1")(start)
