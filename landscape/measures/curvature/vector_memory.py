"""Memory that eigenvalues of a large network will take, said before they are measured."""

from typing import Any

from landscape.linalg.lanczos import usual_basis
from landscape.network.parameter_block import Block
from landscape.objective.objective import Objective
from landscape.utils.memory import MOST_KEPT, free_bytes

LARGE = 10_000_000  # weights: 40 MB a vector


def vector_memory(objective: Objective, measure: Any) -> str:
    """Line with the number of weights, the bytes of a vector and how many vectors Lanczos will
    keep at most; "" for small networks.

    measure: an `Eigenvalues`.
    """
    if objective.weights.n < LARGE:
        return ""
    n = Block.of(objective.model, objective.weights, measure.layer).n
    vector, free = n * objective.w.element_size(), free_bytes(objective.device)
    pairs = min(n, 2 * measure.k if measure.which == "both" else measure.k)
    memory = MOST_KEPT if free is None else free // 2
    kept = min(n, usual_basis(vector, pairs, memory), max(pairs + 2, memory // vector - pairs))
    line = (
        f"n = {n:,} weights: a vector takes {_size(vector)}, and Lanczos keeps up to {kept} of "
        f"them beside {pairs} eigenvectors, {_size((kept + pairs) * vector)}"
    )
    return line + ("." if free is None else f"; {_size(free)} are free.")


def _size(count: int) -> str:
    """Bytes in MB, or in GB from one on."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
