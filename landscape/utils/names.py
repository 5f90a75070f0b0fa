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
    """Message for a wrong name: "Unknown method 'smam'. Did you mean 'msam'? Known: ...".

    Where none is near, those that begin so: "eig" is 'eigenvalues'.
    """
    known = list(known)
    folded = {entry.casefold(): entry for entry in known}
    word = str(name).casefold()
    near = get_close_matches(word, folded, n=1, cutoff=0.5)
    near = near or [entry for entry in folded if word and entry.startswith(word)]
    hint = f" Did you mean {' or '.join(repr(folded[entry]) for entry in near)}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}."
