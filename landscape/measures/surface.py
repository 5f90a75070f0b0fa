"""The loss on a plane through the point: L(w + x d1 + y d2), Li et al., NeurIPS 2018 (arXiv
1712.09913).
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor

from landscape.environment import environment
from landscape.linalg import probes
from landscape.measures import filters
from landscape.measures.context import Progress, point_of
from landscape.measures.eigenvalues import Eigenvalues
from landscape.objective import Objective
from landscape.records import SurfaceRecord

DIRECTIONS = ("random", "eigenvectors")


@dataclass(frozen=True, eq=False)
class Plane:
    """The points origin + x·d1 + y·d2; all three of shape (n,)."""

    origin: Tensor
    d1: Tensor
    d2: Tensor

    def point(self, x: float, y: float) -> Tensor:
        """(n,)."""
        return self.origin + x * self.d1 + y * self.d2

    @property
    def cosine(self) -> float:
        """Of the angle between the two directions."""
        d1, d2 = self.d1.double(), self.d2.double()
        return float(d1 @ d2 / (d1.norm() * d2.norm()))


@dataclass(frozen=True)
class Surface:
    """Loss and accuracy on a square grid whose centre is the point itself.

    size: points along each axis, odd. span: the axes run from -span to span.
    directions: "random", see `random_plane`; or "eigenvectors", the two of largest |λ|, of length
    one, so that second differences along the axes are eigenvalues.
    plane: the caller's own; then the centre is its origin.
    seed: of the random directions, or of the eigenvectors' start.

    Raises ValueError for settings out of range and for a plane of other shape than w.
    """

    size: int = 51
    span: float = 1.0
    directions: str = "random"
    plane: Plane | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 3 or self.size % 2 == 0:
            raise ValueError(
                f"`size` must be odd and at least 3, so that the point is on the grid. "
                f"Got {self.size}."
            )
        if not self.span > 0:
            raise ValueError(f"`span` must be positive. Got {self.span}.")
        if self.directions not in DIRECTIONS:
            raise ValueError(
                f"`directions` must be one of {', '.join(DIRECTIONS)}. Got {self.directions!r}."
            )

    def __call__(self, objective: Objective, *, progress: Progress | None = None) -> SurfaceRecord:
        """Ask it of the objective's point; `progress` counts grid points."""
        plane = self._plane(objective)
        half = self.size // 2
        axis = self.span * np.arange(-half, half + 1) / half
        found = np.empty((2, self.size, self.size))
        for i, x in enumerate(axis.tolist()):
            for j, y in enumerate(axis.tolist()):
                found[:, i, j] = objective.value_and_accuracy(plane.point(x, y))
            if progress is not None:
                progress((i + 1) * self.size, self.size**2)
        return SurfaceRecord(
            x=axis,
            y=axis.copy(),
            loss=found[0],
            accuracy=found[1],
            directions="plane" if self.plane else self.directions,
            cosine=plane.cosine,
            point=point_of(objective),
            settings=asdict(replace(self, plane=None)),
            provenance=environment(),
        )

    def _plane(self, objective: Objective) -> Plane:
        w = objective.w
        if self.plane is not None:
            for name, v in vars(self.plane).items():
                if v.shape != w.shape:
                    raise ValueError(
                        f"`plane.{name}` must have shape {tuple(w.shape)}. Got {tuple(v.shape)}."
                    )
            return Plane(*(v.detach().to(w) for v in vars(self.plane).values()))
        if self.directions == "eigenvectors":
            vectors = Eigenvalues(k=2, seed=self.seed)(objective).vectors
            d1, d2 = torch.from_numpy(vectors).to(w).unbind(1)
            return Plane(w, d1, d2)
        return random_plane(objective, self.seed)


def random_plane(objective: Objective, seed: int = 0) -> Plane:
    """Two orthogonal Gaussian directions whose filters are as long as those of the weights.

    Zero in biases and normalisation parameters. The Gaussian numbers depend on the seed alone: the
    same for all models of one shape. Making the second orthogonal bends the filters' lengths and
    the other way round, so the two are done in turn until both hold; `cosine` says how well.

    Raises ValueError where no two such directions exist: hardly any weights.
    """
    w, groups = objective.w, filters.by_filter(objective)
    wanted = filters.length(groups, w.double()) * filters.mask(objective)

    def normalised(v: Tensor) -> Tensor:
        found = filters.length(groups, v)
        return v * torch.where(found > 0, wanted / found, 0.0)

    d1, d2 = (normalised(g.double()) for g in probes.gaussians(w, 2, seed))
    plane = Plane(w, d1, d2)
    for _ in range(100):
        if abs(plane.cosine) < 1e-12:
            break
        plane = Plane(w, d1, normalised(plane.d2 - (plane.d2 @ d1) / (d1 @ d1) * d1))
    if not abs(plane.cosine) < 0.5:
        raise ValueError(
            "The weights are too few for two independent directions with given filter lengths. "
            "Give a plane."
        )
    return Plane(w, plane.d1.to(w), plane.d2.to(w))
