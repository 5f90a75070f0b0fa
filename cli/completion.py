"""Names that the shell completes: methods, tasks, measures, figures and published settings.

They come from the catalogue, so that the Tab key waits for no library.
"""

import json
from collections.abc import Callable
from pathlib import Path

ENGINES = ("local", "dask", "ray", "slurm")
CATALOGUE = Path(__file__).with_name("catalogue.json")
Complete = Callable[[str], list[str]]


def names(kind: str) -> list[str]:
    """Names of one kind in the catalogue."""
    return [entry["name"] for entry in json.loads(CATALOGUE.read_text(encoding="utf-8"))[kind]]


def one_of(kind: str, before: str = "") -> Complete:
    """Complete one name; `before` stands in front of it, as in "published:NAME"."""

    def complete(incomplete: str) -> list[str]:
        known = [before + name for name in names(kind)]
        return [name for name in known if name.startswith(incomplete)]

    return complete


def engine(incomplete: str) -> list[str]:
    """Complete the name of an engine."""
    return [name for name in ENGINES if name.startswith(incomplete)]


def list_of(kind: str) -> Complete:
    """Complete the last of names with commas between; those that stand before it are left out."""

    def complete(incomplete: str) -> list[str]:
        *before, last = incomplete.split(",")
        kept = "".join(f"{name}," for name in before)
        open_ = [name for name in names(kind) if name not in before]
        return [kept + name for name in open_ if name.startswith(last)]

    return complete
