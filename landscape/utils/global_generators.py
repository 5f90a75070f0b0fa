"""Global generators of Python and of numpy, whose states take long to read and to restore."""

import _random
import ctypes
import random
import sys
from typing import Any

import numpy as np

WORDS = 625  # of a Mersenne twister in memory, 4 bytes each: its numbers and its position
NUMPY: Any = np.random


def _address_of_pythons_numbers() -> int | None:
    """Address of the global generator's numbers in memory, if what lies there is its state."""
    if sys.implementation.name != "cpython" or _random.Random.__basicsize__ < 4 * WORDS:
        return None
    address = id(PYTHONS_GENERATOR) + object.__basicsize__
    *numbers, position = random.getstate()[1]
    expected = np.array([position, *numbers], dtype=np.uint32).tobytes()
    return address if ctypes.string_at(address, 4 * WORDS) == expected else None


PYTHONS_GENERATOR: Any = random.random.__self__  # type: ignore[attr-defined]
PYTHONS_NUMBERS = _address_of_pythons_numbers()


def python_state() -> Any:
    """State of Python's global generator, for `put_python_back`: its numbers as they lie in memory
    where they are all of it, which takes a fiftieth of the time of `random.getstate`.
    """
    if PYTHONS_NUMBERS is None or PYTHONS_GENERATOR.gauss_next is not None:
        return random.getstate()
    return ctypes.string_at(PYTHONS_NUMBERS, 4 * WORDS)


def put_python_back(state: Any) -> None:
    """Give Python's global generator a state that `python_state` returned."""
    if not isinstance(state, bytes):
        random.setstate(state)
        return
    ctypes.memmove(PYTHONS_NUMBERS, state, len(state))  # type: ignore[arg-type]
    PYTHONS_GENERATOR.gauss_next = None


def numpy_numbers() -> bytes | None:
    """Numbers of numpy's global generator; None where it is not the usual Mersenne twister."""
    generator = NUMPY.get_bit_generator()
    if type(generator) is not np.random.MT19937:
        return None
    return ctypes.string_at(generator.ctypes.state_address, 4 * WORDS)


class NumpyState:
    """State of numpy's global generator, read anew when its numbers have changed: to read it takes
    as long as a small pass, to compare the numbers less than a microsecond.

    They do not show whether it holds the second of a pair of Gaussians; while it does, it is read
    each time.
    """

    def __init__(self) -> None:
        self._before: bytes | None = None
        self._state: Any = None

    def __call__(self) -> Any:
        """Return the present state."""
        now = numpy_numbers()
        if now is None or now != self._before:
            self._state = np.random.get_state(legacy=False)
            self._before = None if self._state.get("has_gauss") else now
        return self._state


numpy_state = NumpyState()
_spare: list[Any] = []  # generators of numpy that are not in use


def put_another_numpy() -> tuple[Any, Any]:
    """Let numpy's global functions draw from another generator: swapping takes less than saving and
    restoring. Return what `put_numpy_back` takes.
    """
    before, state = NUMPY.get_bit_generator(), numpy_state()
    NUMPY.set_bit_generator(_spare.pop() if _spare else np.random.MT19937(0))
    return before, state


def put_numpy_back(generator: Any, state: Any) -> None:
    """Undo `put_another_numpy`, which by itself loses the second of a pair of Gaussians."""
    _spare.append(NUMPY.get_bit_generator())
    NUMPY.set_bit_generator(generator)
    if state.get("has_gauss"):
        np.random.set_state(state)
