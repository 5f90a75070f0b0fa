"""Work of every engine where an item runs: one item at a time, on one thread and one card."""

import os
import pickle
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch

from landscape.engines.cards import card
from landscape.engines.engine import Item
from landscape.utils.progress import Listener, Progress

_turn = threading.Lock()  # torch's modes and generators belong to the process, not to a thread


class Outcome(NamedTuple):
    """Answer of an item, or its error, as they travel back."""

    answer: Any
    error: Exception | None


def perform(item: Item, per_card: int, progress: Listener) -> Outcome:
    """Run an item; its error is an answer, too, so that no engine tries it again."""
    with _turn:
        torch.set_num_threads(1)
        place = nullcontext() if item.device == "cpu" else card(per_card)
        try:
            with place:
                return Outcome(item.run(progress), None)
        except Exception as error:
            return Outcome(None, portable(error))


def portable(error: Exception) -> Exception:
    """The error, or one in its place that can be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def now_and_then(seconds: float, tell: Listener, check: Callable[[], None]) -> Listener:
    """A listener that calls `check` each time, and tells a message every so many seconds."""
    last = 0.0

    def heard(message: Progress) -> None:
        nonlocal last
        check()
        if time.monotonic() - last > seconds:
            tell(message)
            last = time.monotonic()

    return heard


def here() -> str:
    """Name this process for an error: host and number."""
    return f"{os.uname().nodename}, process {os.getpid()}"
