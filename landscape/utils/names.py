"""Look a name up; an unknown one gives an error with the nearest and all known names."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


def look_up(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return `known[name]`; ValueError with the nearest name and all names if there is none."""
    if name not in known:
        raise ValueError(unknown(kind, name, known))
    return known[name]


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Message for a wrong name: "Unknown method 'smam'. Did you mean 'msam'? Known: ..."."""
    known = list(known)
    near = get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}."
