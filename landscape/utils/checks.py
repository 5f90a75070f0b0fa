"""The rules that settings obey, each with the error that says which one was broken.

Numbers may be numpy's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np


def non_negative(**values: Any) -> None:
    """Raise ValueError where a value is no number, negative, infinite or NaN."""
    for name, value in values.items():
        if not (is_number(value) and 0 <= value < math.inf):
            raise ValueError(f"`{name}` must be non-negative{_finite(value)}. Got {shown(value)}.")


def positive(**values: Any) -> None:
    """Raise ValueError where a value is no number, zero, negative, infinite or NaN."""
    for name, value in values.items():
        if not (is_number(value) and 0 < value < math.inf):
            raise ValueError(f"`{name}` must be positive{_finite(value)}. Got {shown(value)}.")


def whole(least: int, **values: Any) -> None:
    """Raise ValueError where a value is no integer of at least `least`."""
    for name, value in values.items():
        if not is_whole(value) or value < least:
            raise ValueError(
                f"`{name}` must be a whole number of at least {least}. Got {shown(value)}."
            )


def at_least(least: int, **values: Any) -> None:
    """Raise ValueError where a whole number is smaller."""
    for name, value in values.items():
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}. Got {value}.")


def one_of(choices: Sequence[str], **values: Any) -> None:
    """Raise ValueError where a value is none of the choices."""
    for name, value in values.items():
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"`{name}` must be one of {', '.join(choices)}. Got {shown(value)}.")


def typed(settings: object) -> None:
    """Raise ValueError where a field of a dataclass holds no value of the type that it states.

    Lists and ranges stand for tuples, whole numbers for floats. What a mapping holds is not looked
    at, and a field of type Any may hold anything.
    """
    kind: Any = type(settings)
    for name, (rule, fits) in _rules(kind).items():
        value = getattr(settings, name)
        if not fits(value):
            raise ValueError(f"`{name}` must be {rule}. Got {shown(value)}.")


def is_whole(value: Any) -> bool:
    """Test for an integer, numpy's too; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Test for a real number, numpy's too, also infinite or NaN; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_sequence(value: Any) -> bool:
    """Test for a tuple, a list or a range; text is none."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def shown(value: Any) -> str:
    """A wrong value as a message shows it: numpy's numbers as numbers, tensors by their shapes."""
    if isinstance(value, np.generic):
        return str(value)
    if isinstance(value, np.ndarray) or hasattr(value, "requires_grad"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    return repr(value)


def _finite(value: Any) -> str:
    return " and finite" if is_number(value) and math.isinf(value) else ""


Rule = tuple[str, Callable[[Any], bool]]  # what a value must be, and the test

PLAIN: dict[Any, Rule] = {
    int: ("a whole number", is_whole),
    float: ("a number", is_number),
    bool: ("True or False", lambda value: isinstance(value, bool | np.bool_)),
    str: ("text", lambda value: isinstance(value, str)),
    NoneType: ("None", lambda value: value is None),
}


@cache
def _rules(kind: type) -> dict[str, Rule]:
    """The rule of each field that has one."""
    hints = get_type_hints(kind)
    found = {f.name: _rule(hints[f.name]) for f in fields(kind) if f.init}
    return {name: rule for name, rule in found.items() if rule is not None}


def _rule(hint: Any) -> Rule | None:
    """The rule of an annotation; None where it says nothing that can be tested."""
    if hint in PLAIN:
        return PLAIN[hint]
    kind = get_origin(hint) or hint
    if isinstance(kind, type) and kind not in (tuple, Sequence, UnionType, Any):
        return f"of type {kind.__name__}", lambda value: isinstance(value, kind)
    parts = [_rule(part) for part in get_args(hint) if part is not Ellipsis]
    rules = [rule for rule in parts if rule is not None]
    if not parts or len(rules) < len(parts):
        return None
    if kind in (Union, UnionType):
        return " or ".join(words for words, _ in rules), lambda v: any(fits(v) for _, fits in rules)
    if kind is tuple and Ellipsis not in get_args(hint):
        return _all(rules)
    return _each(*rules[0])


def _each(words: str, fits: Callable[[Any], bool]) -> Rule:
    """The rule of a tuple of any length."""
    return f"a tuple, each entry {words}", lambda v: is_sequence(v) and all(map(fits, v))


def _all(rules: Sequence[Rule]) -> Rule:
    """The rule of a tuple with a rule for each entry."""

    def fits(value: Any) -> bool:
        if not is_sequence(value) or len(value) != len(rules):
            return False
        return all(test(entry) for (_, test), entry in zip(rules, value, strict=True))

    return f"({', '.join(words for words, _ in rules)})", fits
