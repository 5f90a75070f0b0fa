"""Kernels for few classes on the CPU: layers and losses whose last dimension is narrower than a
vector register run along the examples.

    W xᵀ + b instead of x Wᵀ + b, and cross-entropy of (1, classes, n) instead of (n, classes)

The numbers differ by rounding, and outputs by their strides.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CLASSES, EXAMPLES = 16, 64  # fewer classes than this and at least as many examples: then it pays
_LOCK = threading.Lock()
_OPEN: list[int] = []  # threads, each as often as it has opened `few_classes`
_TORCHS: list[Any] = [F.linear, F.cross_entropy]  # as they were before the first one opened it


@contextmanager
def few_classes() -> Iterator[None]:
    """While open, `F.linear` and `F.cross_entropy` of this thread run along the examples where that
    pays, and nothing asks for derivatives.

    Other threads get torch's own numbers, and the last one to leave puts torch's functions back.
    """
    thread = threading.get_ident()
    with _LOCK:
        if not _OPEN:
            _TORCHS[:] = F.linear, F.cross_entropy
            F.linear, F.cross_entropy = narrow_linear, narrow_cross_entropy
        _OPEN.append(thread)
    try:
        yield
    finally:
        with _LOCK:
            _OPEN.remove(thread)
            if not _OPEN:
                F.linear, F.cross_entropy = _TORCHS


def narrow_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear`."""
    narrow = weight.shape[0] < CLASSES and input.dim() == 2 and input.shape[0] >= EXAMPLES
    if not narrow or input.requires_grad or weight.requires_grad or _elsewhere():
        return _TORCHS[0](input, weight, bias)
    z = weight @ input.T if bias is None else torch.addmm(bias[:, None], weight, input.T)
    return z.T


def narrow_cross_entropy(input: Tensor, target: Tensor, *args: Any, **named: Any) -> Tensor:
    """`F.cross_entropy`."""
    rows = input.dim() == 2 and target.dim() == 1
    narrow = rows and input.shape[1] < CLASSES and input.shape[0] >= EXAMPLES
    if not narrow or input.requires_grad or _elsewhere():
        return _TORCHS[1](input, target, *args, **named)
    return _TORCHS[1](input.T[None], target[None], *args, **named).squeeze(0)


def _elsewhere() -> bool:
    """Test whether another thread opened it, not this one."""
    return threading.get_ident() not in _OPEN
