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


def canonical(kind: str, name: str, known: Iterable[str]) -> str:
    """The name as the registry writes it, from one in any case.

    Raises ValueError with the nearest name and the list where there is none.
    """
    known = list(known)
    if name in known:
        return name
    same = [entry for entry in known if entry.casefold() == str(name).casefold()]
    if len(same) != 1:
        raise ValueError(unknown(kind, name, known))
    return same[0]


def names_of(kind: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Names in any case as the registry writes them, each once."""
    known = list(known)
    return list(dict.fromkeys(canonical(kind, name, known) for name in names))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Message for a wrong name: "Unknown method 'smam'. Did you mean 'msam'? Known: ..."."""
    known = list(known)
    folded = {entry.casefold(): entry for entry in known}
    near = get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.5)
    hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}."
