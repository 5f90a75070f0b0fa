"""Stop long work at its next safe point, as after a step of training, when a signal asks for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")  # Ctrl-C, preemption, Slurm's warning before the end

_asked = threading.Event()


def request() -> None:
    """Ask the work of this process to stop at its next safe point."""
    _asked.set()


def is_asked() -> bool:
    """Tell whether a stop was asked for."""
    return _asked.is_set()


def check() -> None:
    """Raise KeyboardInterrupt where a stop was asked for; the work calls it at safe points."""
    if _asked.is_set():
        _asked.clear()
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """While open, the signals wait for `check`; the second one interrupts at once.

    Signals that the process ignores stay ignored; outside of the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if _asked.is_set():
            _asked.clear()
            raise KeyboardInterrupt
        _asked.set()

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    kept = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    for number in kept:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
