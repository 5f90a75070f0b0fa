"""Settings from a TOML file and from `--set a.b=value`, checked before anything starts.

Every error is told at once, one line each, with its path.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from landscape_cli.checking import checked

Tree = dict[str, Any]
MOST_DEPTH = 32  # arrays and tables within each other
GROUPS = "groups"  # parameter groups, the one list of tables
PROTOCOLS = {"lifelong": "lifelong"}  # name -> section of its settings
KEYWORDS = ("model_args", "data_args")  # options that a file may hold as a table


def read(
    config: Path | None,
    assignments: Iterable[str] | None,
    methods: Iterable[str],
    *,
    measures: Mapping[str, type] | None = None,
    asked: Iterable[str] | None = None,
    label_noise: float | None = None,
    protocol: str | None = None,
    init: str | None = None,
    option: str = "--set",
    **flags: Any,
) -> Tree:
    """Settings by section and method, {"training": {"epochs": 20}, "sam": {"rho": 0.1}}, typed.

    Later ones win: the file, `--set`, then `label_noise`, of [data], `init`, the source of [init],
    and `flags`, which belong to [training] (None: not given). protocol: a name in PROTOCOLS, whose
    section is then there, if only with its defaults. measures: those that may have a section too,
    by name; asked: those that are evaluated, None for all.
    Raises ValueError with all errors. A file may also hold methods that do not run now; a `--set`
    without effect is an error, and names `option`.
    """
    from landscape.methods import METHODS
    from landscape.training.settings import SECTIONS, unlabelled
    from landscape.utils.names import canonical

    sections = {**SECTIONS, **METHODS, **(measures or {})}
    given = canonical_sections(assigned(assignments or (), option), sections)
    options: dict[str, Mapping[str, Any]] = {
        "data": {"label_noise": label_noise},
        "init": {"source": init},
        "training": flags,
    }
    flagged: list[Tree] = [
        {section: {key: value}}
        for section, values in options.items()
        for key, value in values.items()
        if value is not None
    ]
    if protocol is not None:
        flagged.append({PROTOCOLS[canonical("protocol", protocol, PROTOCOLS)]: {}})
    stored = canonical_sections(tables(config), sections) if config else {}
    tree = merged(stored, given, *flagged)
    parts = [part for method in methods for part in method.split("+")]
    in_use = [*SECTIONS, *parts, *map(unlabelled, parts)]
    idle = [
        f"`{option} {name}...` has no effect: {name} is not among the methods."
        for name in given
        if unlabelled(name) in METHODS and name not in in_use
    ] + _idle_measures(given, measures or {}, asked)
    variants = {name: METHODS[unlabelled(name)] for name in tree if unlabelled(name) in METHODS}
    return checked(tree, {**sections, **variants}, SECTIONS, idle)


def of_measures(
    config: Path | None,
    assignments: Iterable[str] | None,
    asked: Iterable[str] | None,
    measures: Mapping[str, type],
    *further: Tree,
) -> Tree:
    """Settings by measure, {"noise": {"draws": 20}}, of the file, `--set` and others, typed.

    asked: the measures that are evaluated, None for all; a `--set` of another one has no effect.
    Raises ValueError with all errors.
    """
    given = canonical_sections(merged(assigned(assignments or ()), *further), measures)
    stored = canonical_sections(tables(config), measures) if config else {}
    idle = _idle_measures(given, measures, asked)
    return checked(merged(stored, given), measures, errors=idle, kind="measure")


def _idle_measures(
    given: Tree, measures: Mapping[str, type], asked: Iterable[str] | None
) -> list[str]:
    """Errors for settings of measures that are not evaluated."""
    names = list(measures if asked is None else asked)
    return [
        f"An option of {name} has no effect: the measures are {', '.join(names)}."
        for name in given
        if name in measures and name not in names
    ]


def canonical_sections(tree: Tree, known: Iterable[str]) -> Tree:
    """The tree with its sections as they are known, from names in any case; "SAM@wide" too."""
    known = {name.casefold(): name for name in known}
    result: Tree = {}
    for section, values in tree.items():
        name, at, label = section.partition("@")
        right = known.get(name.casefold(), name) if section not in known.values() else name
        result = merged(result, {f"{right}{at}{label}": values})
    return result


def is_option(name: str, value: Any) -> bool:
    """Test whether an entry of a file is an option of the command, not settings."""
    plain = not isinstance(value, Mapping) and name != GROUPS
    return plain or name.replace("-", "_") in KEYWORDS


def tables(config: Path) -> Tree:
    """The tables of settings in a file, without the options of the command.

    [[groups]] is short for [[training.groups]]; ValueError where the file has both.
    """
    tree = {name: v for name, v in from_config(config).items() if not is_option(name, v)}
    if GROUPS not in tree:
        return tree
    if GROUPS in tree.get("training", {}):
        raise ValueError(f"{config} has groups twice: [[groups]] and training.groups.")
    return merged(tree, {"training": {GROUPS: tree.pop(GROUPS)}})


def grid(entries: Iterable[str], methods: Iterable[str]) -> dict[str, list[Any]]:
    """{"sam.rho": [0.02, 0.05]} from "sam.rho=.02,.05", each value checked as by `--set`."""
    methods = list(methods)
    found: dict[str, list[Any]] = {}
    for entry in entries:
        path, equals, text = (part.strip() for part in entry.partition("="))
        if not equals or not text:
            raise ValueError(f"`--grid` takes section.key=value,value. Got {entry!r}.")
        for value in re.split(r",(?![^\[]*\])", text):  # a comma in [brackets] is part of a value
            tree = read(None, [f"{path}={value}"], methods, option="--grid")
            found.setdefault(path, []).append(reduce(getitem, path.split("."), tree))
    return found


def pairs(entries: Iterable[str], option: str) -> dict[str, str]:
    """{"sam@longer": "sam"} from "sam@longer=sam"; ValueError for anything else."""
    found = {}
    for entry in entries:
        name, _, value = (part.strip() for part in entry.partition("="))
        if not name or not value:
            raise ValueError(f"`{option}` takes VARIANT=METHOD. Got {entry!r}.")
        found[name] = value
    return found


def from_config(config: Path) -> Tree:
    """The tables of a TOML file, or of published settings by name, "published:NAME"."""
    from landscape.tasks import published

    name = str(config)
    if not name.startswith(published.PREFIX):
        return from_file(config)
    tree = published.read(name.removeprefix(published.PREFIX))
    return {key: value for key, value in tree.items() if key != "published"}


def from_file(path: Path) -> Tree:
    """The tables of a TOML file; ValueError with file and line where it is none."""
    try:
        return parsed(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no TOML, no UTF-8, or an integer of thousands of digits
        raise ValueError(f"{path} is not valid TOML: {error}.") from None


def parsed(text: str) -> Tree:
    """Read TOML; ValueError where it is none, or nested more than MOST_DEPTH times."""
    too_deep = ValueError(f"it is nested more than {MOST_DEPTH} times")
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise too_deep from None
    level: list[Any] = [tree]
    for _ in range(MOST_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
    if level:
        raise too_deep
    return tree


def _inside(value: Any) -> Iterable[Any]:
    """The values that a table or an array holds."""
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def assigned(assignments: Iterable[str], option: str = "--set") -> Tree:
    """{"a": {"b": value}} from "a.b=value"; the value is TOML, or else the text as it stands."""
    tree: Tree = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = path.strip().split(".")
        if not equals or not 2 <= len(keys) <= MOST_DEPTH or not all(keys):
            raise ValueError(f"`{option}` takes section.key=value. Got {shortened(assignment)!r}.")
        leaf: Any = literal(text.strip(), option)
        for key in reversed(keys):
            leaf = {key: leaf}
        tree = merged(tree, leaf)
    return tree


def merged(*trees: Mapping[str, Any]) -> Tree:
    """Merge trees; later leaves win."""
    result: Tree = {}
    for tree in trees:
        for key, value in tree.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result


def literal(text: str, option: str) -> Any:
    """The value that TOML reads, or else the text as it stands.

    Raises ValueError, which names the option, where the value is too deep or too long for TOML.
    """
    zero = "0" if text.startswith(".") else ""  # TOML does not know .5
    try:
        tree = parsed(f"value = {zero}{text}")
    except tomllib.TOMLDecodeError:
        return text
    except ValueError as error:
        raise ValueError(
            f"`{option}` takes a value of TOML: {error}. Got {shortened(text)!r}."
        ) from None
    return tree["value"] if set(tree) == {"value"} else text


def shortened(text: str, most: int = 100) -> str:
    """The text, cut where it is long, for errors."""
    return text if len(text) <= most else f"{text[:most]}..."
