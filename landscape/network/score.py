"""Scores of a classifier: ratios of counts over all data, whatever the batches."""

from typing import Any, Protocol

import torch
from torch import Tensor

from landscape.network.batch import counted, named


class Score(Protocol):
    """The mean over k of Σ right_k / Σ of_k, counts over all examples; k without any are left out.

    name: how figures, tables and sentences call it.
    """

    name: str

    def targets(self, y: Tensor, classes: int) -> Tensor:
        """Count what the targets (...) alone decide, integers (k,) or ()."""
        ...

    def counts(self, logits: Tensor, y: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Count what is right, and of how many, shapes of `targets`; logits (..., classes)."""
        ...


class Accuracy:
    """Share of targets that the largest logit names; labels that are no class do not count."""

    name = "accuracy"

    def targets(self, y: Tensor, classes: int) -> Tensor:
        """Count the targets that are a class, shape ()."""
        return counted(y, classes)

    def counts(self, logits: Tensor, y: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Count the targets that are named, and all, shapes ()."""
        return named(logits, y), targets


class MeanIoU:
    """Mean over classes of |named ∩ true| / |named ∪ true|, sets of places over all the data.

    A class that is neither named nor true anywhere is left out, and so are places whose label is no
    class.
    """

    name = "mean IoU"

    def targets(self, y: Tensor, classes: int) -> Tensor:
        """Count the places of each class, (classes,)."""
        return _histogram(y, classes)

    def counts(self, logits: Tensor, y: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Count intersections and unions, (classes,)."""
        classes = logits.shape[-1]
        answers = logits.max(-1).indices.where((y >= 0) & (y < classes), -1)
        both = _histogram(answers.where(answers == y, -1), classes)
        return both, targets + _histogram(answers, classes) - both


def _histogram(values: Tensor, classes: int) -> Tensor:
    """Count each class; values outside [0, classes) are left out."""
    bins = values.where((values >= 0) & (values < classes), classes).flatten()
    return torch.bincount(bins, minlength=classes + 1)[:classes]


ACCURACY, MEAN_IOU = Accuracy(), MeanIoU()


def score_of(loss: Any) -> Score:
    """The score that a loss names as `loss.score`, or the accuracy."""
    score: Score = getattr(loss, "score", ACCURACY)
    return score
