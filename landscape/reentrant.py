"""Activation checkpoints of torch's reentrant kind, which torch.autograd.grad cannot go through.

Where a checkpoint's input needs no gradient, torch leaves its parameters' gradients at zero and
only warns; elsewhere it fails. The warning comes in every pass without gradients.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WARNING = "None of the inputs have requires_grad=True"
REFUSAL = (
    "The model recomputes activations with torch.utils.checkpoint and use_reentrant=True, which "
    "has no gradients but by .backward(): measures of curvature would see zeros. "
    "Set use_reentrant=False."
)


@contextmanager
def heard() -> Iterator[list[str]]:
    """While open, the warning of a reentrant checkpoint is put into the list, and not shown."""
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", WARNING, UserWarning)
        show = warnings.showwarning

        def hear(message: Warning | str, *rest: Any, **more: Any) -> None:
            if str(message).startswith(WARNING):
                found.append(str(message))
            else:
                show(message, *rest, **more)

        warnings.showwarning = hear
        yield found
