"""Outcome of one check: right, refused, WRONG, or a crash."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """kind: "right", "refused", "WRONG" or "crash"; error: the largest relative one; words: of a
    refusal or a crash.
    """

    kind: str
    error: float = 0.0
    words: str = ""


def outcome(check: Callable[[], Iterable[tuple[Any, Any, float]]]) -> Outcome:
    """Run a check, which yields (got, right, allowed difference)."""
    error = 0.0
    wrong = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for got, right, allowed in check():
                a, b = (np.asarray(v, dtype=float) for v in (got, right))
                off = float(np.where(np.isnan(a) & np.isnan(b), 0.0, np.abs(a - b)).max())
                relative = off / max(float(np.abs(b).max()), 1e-12)
                if not off <= allowed + 1e-13:
                    wrong.append(f"{brief(a)} for {brief(b)}")
                error = max(error, relative) if np.any(b) else error
    except ValueError as refusal:
        return Outcome("refused", words=str(refusal))
    except Exception as failure:
        first = str(failure).strip().splitlines() or [""]
        return Outcome("crash", words=f"{type(failure).__name__}: {first[0]}")
    return Outcome("WRONG", error, "; ".join(wrong[:3])) if wrong else Outcome("right", error)


def brief(values: np.ndarray) -> str:
    """Up to four numbers."""
    return ", ".join(f"{v:.5g}" for v in values.reshape(-1)[:4])
