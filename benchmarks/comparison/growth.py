"""Cost over size: straight lines on logarithmic axes, or the fixed part that bends them."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure

from comparison.rounds import Scale
from comparison.startup import command
from comparison.steps import ours as stepper
from comparison.subjects import Subject
from landscape import measures, methods
from landscape.models import mlp

STRAIGHT = 0.1  # of the slope from 1
SLOW = 2.0  # seconds of calls after which no further one is timed
HEAD = """\
| over | work | from | to | slope | at the large end | so |
| --- | --- | --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Line:
    """Seconds of one work over the sizes of one axis."""

    axis: str
    work: str
    sizes: Sequence[float]
    seconds: Sequence[float]

    @property
    def slopes(self) -> tuple[float, float]:
        """On logarithmic axes: of a straight line through all, and between the last two."""
        x, y = np.log(self.sizes), np.log(self.seconds)
        return float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2]))

    @property
    def fixed(self) -> float:
        """The size whose cost the fixed part equals, by least squares of relative errors."""
        sizes, seconds = np.array(self.sizes, float), np.array(self.seconds)
        columns = np.stack([1 / seconds, sizes / seconds], 1)
        a, b = np.linalg.lstsq(columns, np.ones_like(seconds), rcond=None)[0]
        return float(max(a, 0) / b) if b > 0 else float("inf")

    @property
    def words(self) -> str:
        """Straight, or why not."""
        whole, end = self.slopes
        if abs(whole - 1) <= STRAIGHT:
            return "a straight line"
        if self.fixed > max(self.sizes):
            return "mostly a fixed part at these sizes"
        if whole < 1:
            digits = 0 if self.fixed >= 10 else 1
            return f"a fixed part as large as the cost of {self.fixed:,.{digits}f} {self.axis}"
        return "steeper than the size" if end > 1 + STRAIGHT else "straight at the large end"


def lines(scale: Scale) -> Iterator[Line]:
    """Weights, examples, points of a surface, methods of a study."""
    widths = [width(n) for n in scale.pick((10**4, 10**5, 10**6, 10**7), (10**3, 10**4))]
    yield from over("weights", [network(w, 100, scale) for w in widths], lambda s: s.n, scale)
    counts = scale.pick((100, 1000, 10_000), (20, 40))
    nets = [network(scale.pick(128, 8), count, scale) for count in counts]
    yield from over("examples", nets, lambda s: len(s.x), scale)
    subject = network(scale.pick(128, 8), 1000, scale)
    sides = scale.pick((5, 11, 25, 51), (3, 5))
    seconds = [timed(partial(surface, subject, side), scale) for side in sides]
    yield Line("points", "a surface", [side**2 for side in sides], seconds)
    numbers = scale.pick((1, 2, 4), (1, 2))
    seconds = [timed(partial(study, number), scale, warm=False) for number in numbers]
    yield Line("methods", "a study of one epoch", numbers, seconds)


def over(axis: str, subjects: list[Subject], size: Callable, scale: Scale) -> Iterator[Line]:
    """All works on each network, per product, point or step."""
    sizes = [size(subject) for subject in subjects]
    for work, cost in WORKS.items():
        yield Line(axis, work, sizes, [cost(subject, scale) for subject in subjects])


def network(width: int, examples: int, scale: Scale) -> Subject:
    """An MLP with two hidden layers on random data."""
    torch.manual_seed(0)
    model = mlp(64, (width, width)).to(scale.device)
    x, y = torch.randn(examples, 64), torch.randint(10, (examples,))
    return Subject("MLP", model, x.to(scale.device), y.to(scale.device))


def width(n: float) -> int:
    """Of both layers, for about n weights."""
    return max(1, round((n + 38**2) ** 0.5 - 38))


def gradient(subject: Subject, scale: Scale) -> float:
    """Seconds of one."""
    objective = subject.objective()
    return timed(objective.grad, scale)


def product(measure, subject: Subject, scale: Scale) -> float:
    """Seconds of a whole measure over its number of products."""
    counts = []
    seconds = timed(lambda: counts.append(measure(subject.objective()).hvps), scale)
    return seconds / counts[-1]


def point(subject: Subject, scale: Scale) -> float:
    """Seconds of a whole small surface over its number of points."""
    return timed(partial(surface, subject, 5), scale) / 25


def step(subject: Subject, scale: Scale) -> float:
    """Seconds of a step of SAM."""
    return timed(stepper(methods.SAM(), subject)[1], scale)


WORKS = {
    "a gradient": gradient,
    "eigenvalues, a product": partial(product, measures.Eigenvalues(k=3, max_hvps=40)),
    "trace, a product": partial(product, measures.Trace(tolerance=0.0, max_hvps=24)),
    "a surface, a point": point,
    "a step of SAM": step,
}


def surface(subject: Subject, side: int) -> None:
    """A whole call."""
    measures.Surface(size=side)(subject.objective())


def study(number: int) -> None:
    """As many variants of one method, so that all cost the same."""
    names = [f"sam@{letter}" for letter in "abcd"[:number]]
    settings = [word for name in names for word in ("--set", f"{name}.rho=0.05")]
    with tempfile.TemporaryDirectory() as folder:
        command(
            "compare", "--task", "digits", "--methods", ",".join(names), *settings, "--seeds", "1",
            "--epochs", "1", "--measures", "eigenvalues,noise", "--quiet", "--out",
            f"{folder}/study", number,
        )  # fmt: skip


def timed(call: Callable[[], object], scale: Scale, warm: bool = True) -> float:
    """Median seconds of three calls after one to warm up; of the first call where it is slow."""
    seconds = []
    while len(seconds) < 3 + warm and sum(seconds) < SLOW:
        started = scale.clock()
        call()
        seconds.append(scale.clock() - started)
    return median(seconds[warm:] or seconds)


def rows(grown: list[Line]) -> Iterator[str]:
    """A table row for each line."""
    for line in grown:
        whole, end = line.slopes
        yield (
            f"| {line.axis} | {line.work} | {line.sizes[0]:,} | {line.sizes[-1]:,} "
            f"| {whole:.2f} | {end:.2f} | {line.words} |"
        )


def draw(grown: list[Line], path: Path) -> None:
    """One panel for each axis; grey: proportional to the size."""
    axes = list(dict.fromkeys(line.axis for line in grown))
    with matplotlib.rc_context({"svg.hashsalt": "cost", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(2.4 * len(axes), 2.8), layout="constrained")
        for axis, ax in zip(axes, figure.subplots(1, len(axes)), strict=True):
            of_axis = [line for line in grown if line.axis == axis]
            for line in of_axis:
                ax.loglog(line.sizes, line.seconds, marker="o", markersize=3, label=line.work)
                start = line.seconds[-1] / line.sizes[-1]
                ends = np.array([line.sizes[0], line.sizes[-1]])
                ax.loglog(ends, start * ends, color="0.8", linewidth=0.8, zorder=0)
            ax.set_xlabel(axis)
            if max(of_axis[0].sizes) < 10:
                for side in (ax.xaxis, ax.yaxis):
                    side.set_minor_formatter("{x:g}")
                    side.set_major_formatter("{x:g}")
                ax.set_xticks(of_axis[0].sizes)
                ax.set_xticks([], minor=True)
            ax.legend(frameon=False, fontsize=6)
        figure.axes[0].set_ylabel("seconds, one thread")
        figure.savefig(path, metadata={"Date": None})
