"""The questions one can ask of a minimum, one per file.

A measure is a frozen dataclass of settings; calling it with an `Objective` returns a record.
Imports `objective`, `linalg` and `records`. Start with `trace.py`, then `eigenvalues.py`.
"""

from landscape.measures.adaptive_sharpness import AdaptiveSharpness
from landscape.measures.batch_eigenvalues import BatchEigenvalues
from landscape.measures.context import Progress, point_of
from landscape.measures.critical_sharpness import CriticalSharpness, update_direction
from landscape.measures.cross_check import CrossCheck
from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.eigenvector_plane import eigenvector_plane
from landscape.measures.noise import NoiseRobustness
from landscape.measures.outputs.calibration import Calibration
from landscape.measures.outputs.fisher_rao import FisherRao
from landscape.measures.pac_bayes import PacBayes
from landscape.measures.path import Path
from landscape.measures.profile import Profile
from landscape.measures.pruning import Pruning
from landscape.measures.quantization import Quantization
from landscape.measures.relative_flatness import RelativeFlatness
from landscape.measures.rise_area import RiseArea
from landscape.measures.sharpness import Sharpness
from landscape.measures.space.planes import (
    Plane,
    pca_plane,
    plane_through,
    random_plane,
)
from landscape.measures.spectral_density import SpectralDensity
from landscape.measures.surface import Surface
from landscape.measures.trace import Trace
from landscape.measures.worst_case import WorstCase

MEASURES = {
    "eigenvalues": Eigenvalues,
    "trace": Trace,
    "spectral_density": SpectralDensity,
    "relative_flatness": RelativeFlatness,
    "noise": NoiseRobustness,
    "quantization": Quantization,
    "pruning": Pruning,
    "worst_case": WorstCase,
    "sharpness": Sharpness,
    "rise_area": RiseArea,
    "critical_sharpness": CriticalSharpness,
    "adaptive_sharpness": AdaptiveSharpness,
    "batch_eigenvalues": BatchEigenvalues,
    "pac_bayes": PacBayes,
    "fisher_rao": FisherRao,
    "calibration": Calibration,
    "surface": Surface,
    "profile": Profile,
    "path": Path,
}

# Measures taken where none are named; the others, which cost more or ask more, where they are.
STANDARD = (
    "eigenvalues", "trace", "spectral_density", "relative_flatness", "noise", "quantization",
    "pruning", "worst_case", "sharpness", "rise_area", "surface", "profile", "path",
)  # fmt: skip

__all__ = [
    "MEASURES",
    "STANDARD",
    "AdaptiveSharpness",
    "BatchEigenvalues",
    "Calibration",
    "CriticalSharpness",
    "CrossCheck",
    "Eigenvalues",
    "FisherRao",
    "NoiseRobustness",
    "PacBayes",
    "Path",
    "Plane",
    "Profile",
    "Progress",
    "Pruning",
    "Quantization",
    "RelativeFlatness",
    "RiseArea",
    "Sharpness",
    "SpectralDensity",
    "Surface",
    "Trace",
    "WorstCase",
    "eigenvector_plane",
    "pca_plane",
    "plane_through",
    "point_of",
    "random_plane",
    "update_direction",
]
