"""Page and figures of a study: correlate.html for people, figures/ for papers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from landscape.correlation.sentences import HEAD, rows, sentences
from landscape.plots import save
from landscape.plots.correlation.forest import forest
from landscape.plots.correlation.matrix import matrix
from landscape.plots.correlation.networks import networks
from landscape.report.inline import inline_svg
from landscape.report.template import rendered
from landscape.statistics.grid_answers import GridAnswers
from landscape.statistics.network_table import NetworkTable, quantity
from landscape.utils import files

ENDINGS = ("svg", "pdf", "png")
READINGS = {
    "matrix": "A cell is the mean rank correlation where networks differ in one setting alone. "
    "Grey: zero lies inside its interval.",
    "forest": "The mean over the axes with its 95 % interval over settings, beside the null band: "
    "what is left when a measure is permuted among networks that differ in one setting.",
    "networks": "A point is a network. Colours are the values of one setting.",
}


def write_page(folder: Path, answers: GridAnswers, table: NetworkTable) -> None:
    """Write correlate.html and, into figures/, every figure as SVG, PDF and PNG."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    drawn = figures(answers, table)
    for name, figure in drawn.items():
        for ending in ENDINGS:
            save(figure, folder / "figures" / f"{name}.{ending}")
    files.write(folder / "correlate.html", page(answers, drawn))


def figures(answers: GridAnswers, table: NetworkTable) -> dict[str, Figure]:
    """Matrix and forest plot of each target, and the networks coloured by each axis."""
    drawn: dict[str, Figure] = {}
    for target in answers.targets:
        drawn[f"matrix-{target}"] = matrix(answers, target)
        drawn[f"forest-{target}"] = forest(answers, target)
    for axis in answers.axes:
        drawn[_of_axis(axis)] = networks(table, axis, answers.targets[0])
    return drawn


def page(answers: GridAnswers, drawn: Mapping[str, Figure]) -> str:
    """The page of a study, self-contained. drawn: its `figures`."""
    said = sentences(answers)
    about = answers.about
    return rendered(
        "correlate.html.jinja",
        title="Does flatness predict anything?",
        task=about.get("task", ""),
        quick="A small part of the grid: an orientation." if about.get("quick") else "",
        sentences=said,
        targets=[
            (
                quantity(target).label,
                [(name, inline_svg(drawn[f"{name}-{target}"], f"{name}-{target}", words), words)
                 for name in ("matrix", "forest") for words in [READINGS[name]]],
                rows(answers, target),
            )
            for target in answers.targets
        ],
        networks=[
            (axis, inline_svg(drawn[_of_axis(axis)], f"networks-{i}", axis))
            for i, axis in enumerate(answers.axes)
        ],
        reading=READINGS["networks"],
        head=HEAD,
        left_out=answers.left_out,
        about=_about(about),
        command=about.get("command", ""),
    )  # fmt: skip


def _of_axis(axis: str) -> str:
    return f"networks-{axis.replace(' ', '-')}"


def _about(about: Any) -> str:
    """Seeds, hours and versions, in one line."""
    seeds = ", ".join(map(str, about.get("seeds", ())))
    machine = ", ".join(f"{k} {v}" for k, v in about.get("environment", {}).items() if v)
    spent = f"{about.get('hours', 0):.2g} hours, {about.get('workers', 1)} at once"
    return f"Seeds {seeds}; {spent}; {about.get('machine', '')}; {machine}."
