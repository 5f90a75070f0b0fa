"""Names of scores in words: records call each of them accuracy, its usual one."""

from collections.abc import Iterable
from typing import Any

ACCURACY = "accuracy"


def score_name(records: Iterable[Any]) -> str:
    """The score that records hold as accuracy: that of the first which names one, else accuracy."""
    names = (_named(record) for record in records)
    return next(filter(None, names), ACCURACY)


def _named(record: Any) -> str:
    return getattr(record, "score", "") or getattr(getattr(record, "point", None), "score", "")


def worded(words: str, score: str) -> str:
    """Words on the accuracy as they are said of another score.

    Example:

    >>> worded("Accuracy under noise; the test accuracy", "mean IoU")
    'Mean IoU under noise; the test mean IoU'
    """
    capital = score[0].upper() + score[1:]
    return words.replace(ACCURACY, score).replace(ACCURACY.capitalize(), capital)
