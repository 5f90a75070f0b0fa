"""Draw records as figures: the same record gives the same figure.

Needs no torch and no data. Imports `records` and `statistics`. Start with `curves.py`, then
`style.py` (fonts, sizes, captions).
"""

from collections.abc import Callable
from typing import Any

from landscape.plots.bowl.animation import Animation, save_animation
from landscape.plots.bowl.scene import bowl_scene
from landscape.plots.bowl.trajectory import descending
from landscape.plots.bowl.turning import turning
from landscape.plots.comparison import comparison, differences
from landscape.plots.curves import curves
from landscape.plots.density import density
from landscape.plots.drawing.output import FORMATS, save
from landscape.plots.drawing.style import one_column
from landscape.plots.eigenvalue_count import eigenvalue_count
from landscape.plots.lifelong.accuracy_matrix import accuracy_matrix
from landscape.plots.lifelong.lifelong_metrics import lifelong_metrics
from landscape.plots.lifelong.task_accuracy import task_accuracy
from landscape.plots.lifelong.task_sharpness import task_sharpness
from landscape.plots.noise import noise
from landscape.plots.noise_difference import noise_difference
from landscape.plots.numbers.adaptive_sharpness import adaptive_sharpness
from landscape.plots.numbers.batch_eigenvalues import batch_eigenvalues
from landscape.plots.numbers.displacement import displacement
from landscape.plots.numbers.dots import critical_sharpness, fisher_rao, pac_bayes
from landscape.plots.numbers.reliability import calibration
from landscape.plots.path import path
from landscape.plots.profile import profile
from landscape.plots.pruning import pruning
from landscape.plots.quantization import quantization
from landscape.plots.radius import radius
from landscape.plots.relief import relief
from landscape.plots.rise_area import rise_area
from landscape.plots.scatter import scatter
from landscape.plots.scene import scene
from landscape.plots.sharpness import sharpness
from landscape.plots.spectrum import spectrum
from landscape.plots.stability import stability
from landscape.plots.surface import surface
from landscape.plots.worst_case import worst_case
from landscape.records import Record

# Name of a plot -> function(records, ...) -> figure.
PLOTS: dict[str, Callable[..., Any]] = {
    "curves": curves,
    "spectrum": spectrum,
    "eigenvalue_count": eigenvalue_count,
    "density": density,
    "noise": noise,
    "quantization": quantization,
    "pruning": pruning,
    "worst_case": worst_case,
    "sharpness": sharpness,
    "adaptive_sharpness": adaptive_sharpness,
    "batch_eigenvalues": batch_eigenvalues,
    "critical_sharpness": critical_sharpness,
    "pac_bayes": pac_bayes,
    "fisher_rao": fisher_rao,
    "calibration": calibration,
    "radius": radius,
    "stability": stability,
    "rise_area": rise_area,
    "surface": surface,
    "profile": profile,
    "path": path,
    "relief": relief,
    "scene": scene,
    "bowl_scene": bowl_scene,
    "task_accuracy": task_accuracy,
    "accuracy_matrix": accuracy_matrix,
    "lifelong_metrics": lifelong_metrics,
    "task_sharpness": task_sharpness,
    "displacement": displacement,
    "comparison": comparison,
    "differences": differences,
    "scatter": scatter,
}
# Name of an animation -> function(records, ...) -> Animation, and the name of what it draws.
ANIMATIONS: dict[str, tuple[Callable[..., Animation], str]] = {
    "bowl": (turning, "rise_area"),
    "trajectory": (descending, "surface"),
}
# Name of a plot -> kind of the record that it draws. The last three take the one record of a
# study, the others one record, or a mapping method -> record or records.
DRAWS: dict[str, str] = {
    "curves": "curves",
    "spectrum": "eigenvalues",
    "eigenvalue_count": "eigenvalues",
    "density": "spectral_density",
    "noise": "noise",
    "quantization": "quantization",
    "pruning": "pruning",
    "worst_case": "worst_case",
    "sharpness": "sharpness",
    "adaptive_sharpness": "adaptive_sharpness",
    "batch_eigenvalues": "batch_eigenvalues",
    "critical_sharpness": "critical_sharpness",
    "pac_bayes": "pac_bayes",
    "fisher_rao": "fisher_rao",
    "calibration": "calibration",
    "radius": "radius",
    "stability": "sharpness_over_training",
    "rise_area": "rise_area",
    "surface": "surface",
    "profile": "profile",
    "path": "path",
    "relief": "surface",
    "scene": "surface",
    "bowl_scene": "rise_area",
    "task_accuracy": "lifelong",
    "accuracy_matrix": "lifelong",
    "lifelong_metrics": "lifelong",
    "task_sharpness": "lifelong",
    "displacement": "displacement",
    "comparison": "comparison",
    "differences": "comparison",
    "scatter": "study",
}


def draw(record: Record, **options: Any) -> Any:
    """Draw a record as the first kind of figure that shows its kind, alone.

    Raises ValueError for a kind that has no figure of its own.
    """
    for name, kind in DRAWS.items():
        if kind == record.kind:
            return PLOTS[name](record, **options)
    raise ValueError(f"A record of the kind {record.kind} has no figure. Its numbers: its fields.")


__all__ = [
    "ANIMATIONS", "DRAWS", "FORMATS", "PLOTS", "Animation", "accuracy_matrix",
    "adaptive_sharpness", "batch_eigenvalues", "bowl_scene", "calibration", "comparison",
    "critical_sharpness", "curves", "density", "descending", "differences", "displacement",
    "draw", "eigenvalue_count", "fisher_rao", "lifelong_metrics", "noise", "noise_difference",
    "one_column", "pac_bayes", "path", "profile", "pruning", "quantization", "radius", "relief",
    "rise_area", "save", "save_animation", "scatter", "scene", "sharpness", "spectrum",
    "stability", "surface", "task_accuracy", "task_sharpness", "turning", "worst_case",
]  # fmt: skip
