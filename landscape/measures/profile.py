"""The loss along lines through the point, several at once: a single line or plane shows one
direction of very many.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landscape.measures.context import Progress, point_of, settings_of
from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.space import grids
from landscape.measures.space.evaluate_grid import described, walk
from landscape.measures.space.planes import random_plane
from landscape.measures.space.sampling_error import relative_stderr
from landscape.objective.objective import Objective
from landscape.records import ProfileRecord
from landscape.utils.environment import environment

DIRECTIONS = ("random", "eigenvectors")


@dataclass(frozen=True)
class Profile:
    """Loss and accuracy at w + x·d for several directions d: their spread is the uncertainty of any
    picture of one plane.

    lines: how many directions. directions: "random", the axes of the planes that `Surface` draws
    with this seed, the next one, ..., in units of filter norms; or "eigenvectors" of ∇²L, of
    largest |λ| first, of length one.
    size: points along each line, odd, so that w is among them. span: from -span to span.
    seed: of the first plane, or of the eigenvectors' start.

    Defaults are the project's own. Raises ValueError for settings out of range.
    """

    lines: int = 20
    size: int = 21
    span: float = 1.0
    directions: str = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        grids.check(self.size, self.span)
        if self.lines < 1:
            raise ValueError(f"`lines` must be at least 1. Got {self.lines}.")
        if self.directions not in DIRECTIONS:
            raise ValueError(
                f"`directions` must be one of {', '.join(DIRECTIONS)}. Got {self.directions!r}."
            )

    def __call__(
        self,
        objective: Objective,
        *,
        other: Objective | None = None,
        keep: Path | str | None = None,
        progress: Progress | None = None,
    ) -> ProfileRecord:
        """Ask it of the objective's point; the options are those of `Surface`."""
        w, (x, _) = objective.w, grids.axes(self.size, self.span)
        direction = self._directions(objective)

        def points(line: int) -> Iterator[Tensor]:
            d = direction(line)
            return (w + distance * d for distance in x.tolist())

        found = walk(
            objective, points, (self.lines, self.size), question=settings_of(self),
            other=other, keep=keep, progress=progress,
        )  # fmt: skip
        about: dict[str, Any] = {**found, **described(found, other)}
        return ProfileRecord(
            x=x,
            **about,
            directions=self.directions,
            relative_stderr=relative_stderr(objective),
            point=point_of(objective),
            settings=settings_of(self),
            provenance=environment(),
        )

    def _directions(self, objective: Objective) -> Callable[[int], Tensor]:
        """Number of the line -> its direction (n,)."""
        if self.directions == "eigenvectors":
            vectors = Eigenvalues(k=self.lines, seed=self.seed)(objective).vectors
            found = torch.from_numpy(vectors).to(objective.w)
            return lambda line: found[:, line]

        def axis(line: int) -> Tensor:
            plane = random_plane(objective, self.seed + line // 2)
            return plane.d2 if line % 2 else plane.d1

        return axis
