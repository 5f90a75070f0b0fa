"""Rows of numbers, one of each random direction: none depends on another, so any process may take
any of them, and an estimator that wants more asks again.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Evaluate = Callable[[Sequence[int]], Iterator[Floats]]  # numbers of rows -> the rows, in order
Rows = Callable[[int, Evaluate], Sequence[Floats]]  # how many -> the rows 0, 1, ...


class Computed:
    """The rows as they are computed here, each once."""

    def __init__(self) -> None:
        self._rows: list[Floats] = []

    def __call__(self, count: int, evaluate: Evaluate) -> Sequence[Floats]:
        """The first `count` rows; `evaluate` gives those that are new."""
        self._rows.extend(evaluate(range(len(self._rows), count)))
        return self._rows
