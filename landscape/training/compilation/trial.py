"""Decide whether a training's passes run compiled: after a trial of the network, or eagerly, with
the reason in one line.
"""

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landscape.methods.requirements import not_compiled
from landscape.methods.walker.distributed import DistributedWalker
from landscape.methods.walker.walker import Walker
from landscape.network.batch import Batch
from landscape.network.compiled import CompiledNetwork

# Relative differences of loss and gradient that are rounding: of float32, and under autocast.
TOLERANCE = {None: 1e-3, torch.bfloat16: 5e-2}
STRETCHES = (1.0, 1.01, 1.0)  # of w, where the two are compared: a CUDA graph is kept by the third


@dataclass(frozen=True)
class Compilation:
    """How the passes of a training run.

    network: the compiled one; None for eager passes. reason: why they are eager although they were
    to be compiled.
    """

    network: CompiledNetwork | None = None
    reason: str = ""

    def opened(self) -> AbstractContextManager[None]:
        """While open, passes run compiled, where they can."""
        return nullcontext() if self.network is None else self.network.opened()

    def describe(self) -> dict[str, Any]:
        """Entry of environment.json; none where nothing was to be compiled."""
        if self.network is None and not self.reason:
            return {}
        return {"compilation": {"compiled": self.network is not None, "reason": self.reason}}


EAGER = Compilation()


def compilation_of(walker: Walker, method: Any, batch: Batch) -> Compilation:
    """Compile the network of a walker, and compare loss and gradient on a batch with eager ones.

    Of the training nothing moves, and no pass counts: the walker stands before its first step.
    """
    if reason := not_compiled(method):
        return Compilation(reason=reason)
    if isinstance(walker, DistributedWalker):
        return Compilation(reason="several ranks train one network, which waits for all of them")
    counts = walker.passes, walker.grad_evals
    try:
        with walker.aside():
            return _tried(walker, batch)
    finally:
        walker.passes, walker.grad_evals = counts


def _tried(walker: Walker, batch: Batch) -> Compilation:
    points = [stretch * walker.w for stretch in STRETCHES]
    eager = [_look(walker, batch, point) for point in points]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the compiler, as it is loaded
            network = CompiledNetwork(walker.model)
            with network.opened():
                compiled = [_look(walker, batch, point) for point in points]
    except Exception as error:  # a compiler fails in words of its own
        return Compilation(reason=f"the network could not be compiled: {_first_line(error)}")
    apart = max(map(_apart, compiled, eager))
    if not apart <= TOLERANCE[walker.autocast]:
        return Compilation(
            reason=f"compiled passes are {apart:.1e} off the eager ones, relative to their size, "
            "which is more than rounding"
        )
    return Compilation(network)


def _look(walker: Walker, batch: Batch, point: Tensor) -> tuple[Tensor, Tensor]:
    with walker.aside():  # every one with the same draws
        return walker.value_and_grad(batch, at=point)


def _apart(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> float:
    """Largest relative difference of loss and gradient; NaN where one of them is."""
    sizes = [(a - b).norm() / b.norm().clamp_min(1e-12) for a, b in zip(one, other, strict=True)]
    return float(torch.stack(sizes).max())


def _first_line(error: Exception) -> str:
    """The line of an error that says what is wrong: a backend's own stands in the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith("raised:"):
        del lines[0]
    return lines[0].rstrip(".") if lines else type(error).__name__
