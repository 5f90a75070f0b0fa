"""The loss where the user names none: chosen by the targets, a mean over those that count."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from landscape.network.batch import Batch, LossFn

ALL_LEFT_OUT = "All targets are below zero, which means to leave them out."


def chosen_for(batches: Sequence[Batch]) -> LossFn:
    """The usual loss for these targets; where they are real and each row is a distribution over
    classes (one-hot ones too), cross-entropy; else where all are 0 or 1, binary cross-entropy.

    Warns of such a choice: the same targets may be meant for a regression.
    """
    targets = [batch.y for batch in batches]
    if not all(isinstance(y, Tensor) and y.is_floating_point() for y in targets):
        return usual_loss
    if all(map(_are_distributions, targets)):
        warnings.warn(
            "The targets are real numbers, in each row at least 0 and with sum 1: the loss is "
            "cross-entropy with these probabilities of the classes. Give --loss for another.",
            stacklevel=2,
        )
        return partial(usual_loss, probabilities=True)
    if not all(bool(((y == 0) | (y == 1)).all()) for y in targets):
        return usual_loss
    warnings.warn(
        "The targets are real numbers and all 0 or 1: the loss is binary cross-entropy of the "
        "model's logits. Give --loss for another.",
        stacklevel=2,
    )
    return partial(usual_loss, binary=True)


def _are_distributions(y: Tensor) -> bool:
    rows = y.dim() > 1 and y.shape[-1] > 1
    return rows and bool((y >= 0).all()) and bool(((y.double().sum(-1) - 1).abs() < 1e-3).all())


def weighted(batches: Sequence[Batch]) -> list[Batch]:
    """The batches, weighted by the targets that count where that is not as many for each example
    (some are left out, below zero, or sequences differ in length), so that the mean does not
    depend on how examples are batched. Given weights stay.

    Raises ValueError where none counts.
    """
    if not all(isinstance(b.y, Tensor) for b in batches):
        return list(batches)
    counts = [b.y.numel() if b.y.is_floating_point() else int((b.y >= 0).sum()) for b in batches]
    if not any(counts):
        raise ValueError(ALL_LEFT_OUT)
    if len({count / b.size for count, b in zip(counts, batches, strict=True)}) == 1:
        return list(batches)
    return [
        replace(b, weight=float(count)) if b.share == b.size else b
        for count, b in zip(counts, batches, strict=True)
    ]


def answer(network: nn.Module, x: Any) -> Any:
    """Call a network on an input; a mapping is passed as keywords, as tokenizers give it."""
    return network(**x) if isinstance(x, Mapping) else network(x)


def usual_loss(
    network: nn.Module, batch: Batch, binary: bool = False, probabilities: bool = False
) -> Tensor:
    """Cross-entropy with integer targets, mean squared error with real ones, shape ().

    Where the model's answer has a loss itself (Hugging Face's do, given labels), that one. Logits
    have the classes last; targets below zero are left out.
    binary: real targets are 0 or 1, and the answer holds logits: binary cross-entropy.
    probabilities: real targets are those of the classes, and the answer holds logits.

    Raises ValueError where neither fits.
    """
    out = answer(network, batch.x)
    own, z, y = getattr(out, "loss", None), getattr(out, "logits", out), batch.y
    if isinstance(own, Tensor):
        return own
    if not isinstance(z, Tensor):
        what = f"a {type(out).__name__}" + (
            f" with {', '.join(map(str, out))}" if isinstance(out, Mapping) else ""
        )
        raise ValueError(f"The model answers with {what}, not with a tensor: give a --loss.")
    if not isinstance(y, Tensor):
        raise ValueError(f"The targets are a {type(y).__name__}, not a tensor: give a --loss.")
    if probabilities and z.shape == y.shape:
        return F.cross_entropy(z.flatten(0, -2), y.flatten(0, -2).to(z))
    if y.is_floating_point() and z.numel() == y.numel():
        error = F.binary_cross_entropy_with_logits if binary else F.mse_loss
        return error(z.reshape(y.shape), y.to(z))
    if y.is_floating_point() or z.shape[:-1] != y.shape:
        raise ValueError(
            f"The model's answer {tuple(z.shape)} and the targets {tuple(y.shape)} of "
            f"{str(y.dtype).removeprefix('torch.')} fit no usual loss: give a --loss."
        )
    _refuse_unclear_classes(z, y)
    z, y = z.flatten(0, -2), y.flatten().long()
    largest = int(y.max())
    if largest >= z.shape[1]:
        raise ValueError(
            f"The targets go up to {largest}, but the model has {z.shape[1]} classes: "
            f"targets must be in [0, {z.shape[1]})."
        )
    if largest < 0:
        raise ValueError(ALL_LEFT_OUT)
    return F.cross_entropy(z, y.where(y >= 0, -100))


def _refuse_unclear_classes(z: Tensor, y: Tensor) -> None:
    """Raise ValueError for a single class, and where classes may stand second as well as last."""
    if z.shape[-1] == 1:
        raise ValueError(
            "The model answers with one number per example, and the targets are integers: give a "
            "--loss (binary cross-entropy of one logit, or a regression)."
        )
    if z.dim() > 2 and z.shape[:1] + z.shape[2:] == y.shape:
        raise ValueError(
            f"The classes may stand second or last in the model's answer {tuple(z.shape)}, both "
            f"fit the targets {tuple(y.shape)}: give a --loss."
        )
