"""Questions asked of one point: settings are a frozen dataclass, the call answers with a record."""

from landscape.measures.context import Progress, point_of
from landscape.measures.cross_check import CrossCheck
from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.noise import NoiseRobustness
from landscape.measures.path import Path
from landscape.measures.planes import (
    Plane,
    eigenvector_plane,
    pca_plane,
    plane_through,
    random_plane,
)
from landscape.measures.profile import Profile
from landscape.measures.pruning import Pruning
from landscape.measures.quantization import Quantization
from landscape.measures.relative_flatness import RelativeFlatness
from landscape.measures.sharpness import Sharpness
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
    "surface": Surface,
    "profile": Profile,
    "path": Path,
}

__all__ = [
    "MEASURES",
    "CrossCheck",
    "Eigenvalues",
    "NoiseRobustness",
    "Path",
    "Plane",
    "Profile",
    "Progress",
    "Pruning",
    "Quantization",
    "RelativeFlatness",
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
]
