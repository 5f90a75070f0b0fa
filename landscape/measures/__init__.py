"""Questions asked of one point: settings are a frozen dataclass, the call answers with a record."""

from landscape.measures.context import Progress, point_of
from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.noise import NoiseRobustness, sigma_at_drop
from landscape.measures.relative_flatness import RelativeFlatness
from landscape.measures.surface import Plane, Surface

MEASURES = {
    "eigenvalues": Eigenvalues,
    "relative_flatness": RelativeFlatness,
    "noise": NoiseRobustness,
    "surface": Surface,
}

__all__ = [
    "MEASURES",
    "Eigenvalues",
    "NoiseRobustness",
    "Plane",
    "Progress",
    "RelativeFlatness",
    "Surface",
    "point_of",
    "sigma_at_drop",
]
