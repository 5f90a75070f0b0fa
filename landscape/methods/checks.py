"""The rules that settings obey, each with the error that says which one was broken."""

from collections.abc import Sequence
from typing import Any


def non_negative(**values: float) -> None:
    """Raise ValueError where a value is negative or NaN."""
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"`{name}` must be non-negative. Got {value}.")


def positive(**values: float) -> None:
    """Raise ValueError where a value is zero, negative or NaN."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"`{name}` must be positive. Got {value}.")


def whole(least: int, **values: int) -> None:
    """Raise ValueError where a value is no integer of at least `least`."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"`{name}` must be a whole number of at least {least}. Got {value}.")


def one_of(choices: Sequence[str], **values: Any) -> None:
    """Raise ValueError where a value is none of the choices."""
    for name, value in values.items():
        if value not in choices:
            raise ValueError(f"`{name}` must be one of {', '.join(choices)}. Got {value!r}.")
