"""Settings that papers and their code publish, as TOML files beside this one.

Each value has its source as a comment. The table [published] says what it is for: summary, source,
task, arguments, methods, the network's number of parameters; `open`, what the sources leave open,
and `differs`, where our side is not theirs.
"""

import tomllib
from importlib.resources import files
from typing import Any

from landscape.methods import radii
from landscape.utils.names import canonical

PREFIX = "published:"


def names() -> list[str]:
    """All there are."""
    found = files(__package__).iterdir()
    return sorted(p.name.removesuffix(".toml") for p in found if p.name.endswith(".toml"))


def read(name: str) -> dict[str, Any]:
    """The tables of one, [published] among them; ValueError names the nearest."""
    name = canonical("published settings", name, names())
    return tomllib.loads((files(__package__) / f"{name}.toml").read_text(encoding="utf-8"))


def command(name: str) -> str:
    """The command that trains with them."""
    about = read(name)["published"]
    arguments = " ".join(filter(None, (f"--task {about['task']}", about.get("arguments", ""))))
    return (
        f"landscape compare {arguments} --methods {','.join(about['methods'])} "
        f"--config {PREFIX}{name}"
    )


def radii_of(name: str) -> dict[str, str]:
    """The radius in force of each method, in words: {"lookbehind+asam": "‖e/T‖ = 0.5, of asam"}."""
    tree = read(name)
    settings = {
        method: {key: value for key, value in values.items() if not isinstance(value, dict)}
        for method, values in tree.items()
        if method not in ("published", "data", "training")
    }
    return {method: radii.describe(method, settings) for method in tree["published"]["methods"]}
