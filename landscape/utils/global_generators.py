"""Global generators of Python and of numpy, whose states take long to read and to restore."""

import _random
import ctypes
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

WORDS = 625  # of a Mersenne twister in memory, 4 bytes each: its numbers and its position
NUMPY: Any = np.random


class Known:
    """State of a generator, read anew when its numbers in memory have changed.

    To read a state takes as long as a small pass, to compare its numbers less than a microsecond.

    numbers: those in memory, None where they cannot be read or are not the whole state.
    """

    def __init__(self, numbers: Callable[[], bytes | None], read: Callable[[], Any]):
        self._numbers, self._read = numbers, read
        self._before: bytes | None = None
        self._state: Any = None

    def state(self) -> Any:
        """Return the present state."""
        now = self._numbers()
        if now is None or now != self._before:
            self._before, self._state = now, self._read()
        return self._state


def python_numbers() -> bytes | None:
    """Numbers of Python's global generator; None where they do not lie behind its object's head,
    or where it also holds the second of a pair of Gaussians.
    """
    if PYTHONS_NUMBERS is None or PYTHONS_GENERATOR.gauss_next is not None:
        return None
    return ctypes.string_at(PYTHONS_NUMBERS, 4 * WORDS)


def numpy_numbers() -> bytes | None:
    """Numbers of numpy's global generator; None where it is not the usual Mersenne twister."""
    generator = NUMPY.get_bit_generator()
    if type(generator) is not np.random.MT19937:
        return None
    return ctypes.string_at(generator.ctypes.state_address, 4 * WORDS)


def _address_of_pythons_numbers() -> int | None:
    """Where the global generator has its numbers in memory, if what lies there is its state."""
    if sys.implementation.name != "cpython" or _random.Random.__basicsize__ < 4 * WORDS:
        return None
    address = id(PYTHONS_GENERATOR) + object.__basicsize__
    *numbers, position = random.getstate()[1]
    expected = np.array([position, *numbers], dtype=np.uint32).tobytes()
    return address if ctypes.string_at(address, 4 * WORDS) == expected else None


PYTHONS_GENERATOR: Any = random.random.__self__  # type: ignore[attr-defined]
PYTHONS_NUMBERS = _address_of_pythons_numbers()
python = Known(python_numbers, random.getstate)
_spare: list[Any] = []  # generators of numpy that are not in use


class KnownNumpy(Known):
    """The same of numpy, whose state may hold a Gaussian that its numbers do not show."""

    def state(self) -> Any:
        """Return the present state."""
        state = super().state()
        if state.get("has_gauss"):
            self._before = None  # so that it is read the next time
        return state


numpy = KnownNumpy(numpy_numbers, lambda: np.random.get_state(legacy=False))


def put_another_numpy() -> tuple[Any, Any]:
    """Let numpy's global functions draw from another generator: swapping takes less than saving and
    restoring. Return what `put_numpy_back` takes.
    """
    before, state = NUMPY.get_bit_generator(), numpy.state()
    NUMPY.set_bit_generator(_spare.pop() if _spare else np.random.MT19937(0))
    return before, state


def put_numpy_back(generator: Any, state: Any) -> None:
    """Undo `put_another_numpy`, which by itself loses the second of a pair of Gaussians."""
    _spare.append(NUMPY.get_bit_generator())
    NUMPY.set_bit_generator(generator)
    if state.get("has_gauss"):
        np.random.set_state(state)
