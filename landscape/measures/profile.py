"""Loss profiles along several lines through the point."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from landscape.measures.context import Progress, shows_progress, signature, unless_default
from landscape.measures.eigenvalues import Eigenvalues
from landscape.measures.rows.shared_rows import Keep
from landscape.measures.space import arithmetic, grids
from landscape.measures.space.evaluate_grid import described, walk
from landscape.measures.space.planes import Writer, along, random_plane
from landscape.measures.space.sampling_error import relative_stderr
from landscape.objective.objective import Objective
from landscape.records import ProfileRecord
from landscape.utils import checks

DIRECTIONS = ("random", "eigenvectors")


@dataclass(frozen=True)
class Profile:
    """Loss and accuracy at w + x·d for several directions d.

    The spread over directions is the uncertainty of a picture of one plane. The record holds loss
    and accuracy (lines, size).

    lines: number of directions.
    size: points along each line, odd, so that w is among them.
    span: the lines run from -span to span.
    directions: "random", the axes of the planes that `Surface` draws with this seed, the next
    seed, ..., in units of filter norms; or unit "eigenvectors" of ∇²L, largest |λ| first.
    seed: seed of the first plane, or of the eigenvectors' start.
    precision: of the points: "ieee", "tf32" on CUDA, "bf16" by autocast, or "auto", which is ieee.
    Refused where some points are off by more than precision_tolerance, a share of the loss.

    Defaults are the project's own. Raises ValueError for settings out of range.

    Example: L(w) = (9 w₁² + w₂²)/2 around its minimum, along the eigenvectors.

    >>> import torch
    >>> import landscape as ls
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model.weight.data = torch.tensor([[0.0, 0.0]])
    >>> batch = ls.Batch(torch.diag(torch.tensor([3.0, 1.0])), torch.zeros(2, 1))
    >>> mse = lambda model, batch: (model(batch.x) - batch.y).square().mean()
    >>> objective = ls.Objective(model, [batch], mse)
    >>> profile = ls.measures.Profile(lines=2, size=3, directions="eigenvectors")(objective)
    >>> profile.loss.round(4)
    array([[4.5, 0. , 4.5],
           [0.5, 0. , 0.5]])
    """

    lines: int = 20
    size: int = 21
    span: float = 1.0
    directions: str = "random"
    seed: int = 0
    precision: str = unless_default("auto")
    precision_tolerance: float = unless_default(arithmetic.TOLERANCE)

    over_ranks: ClassVar[bool] = True
    splits_into: ClassVar[str] = "lines"

    def __post_init__(self) -> None:
        checks.typed(self)
        grids.check(self.size, self.span)
        arithmetic.check(self)
        checks.at_least(1, lines=self.lines)
        checks.one_of(tuple(DIRECTIONS), directions=self.directions)

    @shows_progress
    def __call__(
        self,
        objective: Objective,
        *,
        other: Objective | None = None,
        keep: Keep = None,
        progress: Progress | None = None,
    ) -> ProfileRecord:
        """Evaluate the loss around the objective's point; the options are those of `Surface`."""
        w, (x, _) = objective.w, grids.axes(self.size, self.span)
        direction = self._directions(objective)

        def points(line: int) -> Iterator[Writer]:
            return along(w, direction(line), x.tolist())

        shape = self.lines, self.size
        used = arithmetic.computed(self, objective, other, points, shape)
        found = walk(
            used.objective, points, shape, question={"settings": self},
            other=used.other, keep=keep, progress=progress,
        )  # fmt: skip
        about: dict[str, Any] = {**found, **described(found, other), **used.describe()}
        return ProfileRecord(
            x=x,
            **about,
            directions=self.directions,
            relative_stderr=relative_stderr(objective),
            **signature(self, objective),
        )

    def _directions(self, objective: Objective) -> Callable[[int], Tensor]:
        """Map the number of a line to its direction (n,)."""
        if self.directions == "eigenvectors":
            vectors = Eigenvalues(k=self.lines, seed=self.seed)(objective).vectors
            found = torch.from_numpy(vectors).to(objective.w)
            return lambda line: found[:, line]

        def axis(line: int) -> Tensor:
            plane = random_plane(objective, self.seed + line // 2)
            return plane.d2 if line % 2 else plane.d1

        return axis
