"""Trace of a symmetric H whose vectors are split over processes: random directions alone."""

import math

import numpy as np
from torch import Tensor

from landscape.linalg.quadratic_forms import estimate, spread
from landscape.linalg.space import Space
from landscape.linalg.subspace import MatVec
from landscape.linalg.trace import FEWEST, SPARE, TraceEstimate


def split_trace(
    matvec: MatVec,
    like: Tensor,
    space: Space,
    *,
    tolerance: float = 0.01,
    max_matvecs: int = 300,
    seed: int = 0,
) -> TraceEstimate:
    """Spend products until the 95 % interval is value ± tolerance·|value|, or `max_matvecs`: the
    method "hutchinson" of `landscape.linalg.trace`.

    matvec: maps shards (local,) to shards. like: (local,) of their dtype and on their device.
    """
    forms, squares, planned = [], [], float(FEWEST)
    for x in spread(space, like, max_matvecs, seed):
        image = matvec(x)
        forms.append(space.dot(x, image))
        squares.append(space.dot(image, image))
        if len(forms) < planned and len(forms) < max_matvecs:
            continue
        found = estimate(np.array(forms), np.array(squares), space.n)
        allowed = tolerance * abs(float(found.value))
        if float(found.half) <= allowed:
            break
        ratio = float(found.half) / allowed if allowed else math.inf
        planned = min(SPARE * len(forms) * ratio**2, max_matvecs)
    value, half = float(found.value), float(found.half)
    return TraceEstimate(
        value=value,
        stderr=float(found.stderr),
        low=value - half,
        high=value + half,
        draws=len(forms),
        deflated=0,
        matvecs=len(forms),
        converged=half <= tolerance * abs(value),
    )
