"""Groups of the page's figures: at most eight entries of its navigation."""

from collections.abc import Sequence
from dataclasses import dataclass

from landscape.report.figures import Shown

OTHERS = ("surface-trajectory", "surface-minima", "surface-eigenvectors")  # planes
# Id, title, figures in order; what is not in FOLDED stands open. The first screen has rise_area.
GROUPS = (
    (
        "tasks",
        "Tasks",
        ("task_accuracy", "lifelong_metrics", "accuracy_matrix", "task_sharpness"),
    ),
    ("rise", "Surfaces", ("surface", *OTHERS, "profile", "path")),
    (
        "curvature",
        "Curvature",
        (
            *("eigenvalue_count", "spectrum", "density", "sharpness", "adaptive_sharpness"),
            *("critical_sharpness", "batch_eigenvalues", "fisher_rao", "scatter"),
        ),
    ),
    (
        "robustness",
        "Robustness",
        (
            *("noise_difference", "noise", "quantization", "pruning", "worst_case", "pac_bayes"),
            "calibration",
        ),
    ),
    ("training", "Training", ("curves", "displacement", "radius", "stability")),
    ("numbers", "All numbers", ("differences", "comparison")),
)
FOLDED = (*OTHERS, "profile", "path", "sharpness", "scatter", "quantization", "pruning",
          "worst_case", "adaptive_sharpness", "critical_sharpness", "batch_eigenvalues",
          "fisher_rao", "pac_bayes", "calibration", "radius", "stability", "differences",
          "comparison")  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Part of the page below its first screen: figures that stand open, and folded ones."""

    id: str
    title: str
    open: Sequence[Shown]
    folded: Sequence[Shown]


def groups(drawn: Sequence[Shown]) -> list[Group]:
    """The groups that hold a figure, and that of the numbers."""
    by_name = {figure.name: figure for figure in drawn}
    parts = []
    for id_, title, names in GROUPS:
        held = [by_name[name] for name in names if name in by_name]
        if held or id_ == "numbers":
            parts.append(
                Group(
                    id_,
                    title,
                    [f for f in held if f.name not in FOLDED],
                    [f for f in held if f.name in FOLDED],
                )
            )
    return parts
