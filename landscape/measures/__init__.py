"""Questions asked of one point: settings are a frozen dataclass, the call answers with a record."""

from landscape.measures.context import Progress, point_of
from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.noise import NoiseRobustness
from landscape.measures.pruning import Pruning
from landscape.measures.quantization import Quantization
from landscape.measures.relative_flatness import RelativeFlatness
from landscape.measures.sharpness import Sharpness
from landscape.measures.surface import Plane, Surface
from landscape.measures.worst_case import WorstCase

MEASURES = {
    "eigenvalues": Eigenvalues,
    "relative_flatness": RelativeFlatness,
    "noise": NoiseRobustness,
    "quantization": Quantization,
    "pruning": Pruning,
    "worst_case": WorstCase,
    "sharpness": Sharpness,
    "surface": Surface,
}

__all__ = [
    "MEASURES",
    "Eigenvalues",
    "NoiseRobustness",
    "Plane",
    "Progress",
    "Pruning",
    "Quantization",
    "RelativeFlatness",
    "Sharpness",
    "Surface",
    "WorstCase",
    "point_of",
]
