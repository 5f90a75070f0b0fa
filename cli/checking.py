"""Settings held against the dataclasses that they are for: one adapter of pydantic for each.

Unknown keys, wrong types and values out of range are told together.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

Tree = dict[str, Any]
Classes = Mapping[str, type]
PYTHON_ONLY = "only Python can set it"


def checked(
    tree: Mapping[str, Any],
    classes: Classes,
    inner: Classes | None = None,
    errors: Sequence[str] = (),
    kind: str = "settings section",
) -> Tree:
    """The values by section, {"training": {"epochs": 20}}, as the fields of `classes` have them.

    inner: sections that may also lie in one of the others, {"sam": {"training": {...}}}.
    errors: told before those found here. kind: what a section is called in errors.
    Raises ValueError with every unknown key, wrong type and value out of its range.
    """
    unknown = [_unknown(kind, name, classes) for name in tree if name not in classes]
    problems = [*unknown, *errors]
    known = {name: values for name, values in tree.items() if name in classes}
    typed = _sections(known, classes, inner or {}, problems)
    if problems:
        raise ValueError("\n".join(dict.fromkeys(problems)))
    return typed


def _sections(
    tree: Mapping[str, Any], classes: Classes, inner: Classes, errors: list[str], path: str = ""
) -> Tree:
    result: Tree = {}
    for name, values in tree.items():
        place = f"{path}{name}"
        if not isinstance(values, Mapping):
            errors.append(f"`{place}` must be a table of settings. Got {values!r}.")
        else:
            within = {} if name in inner else inner
            nested = {k: v for k, v in values.items() if k in within and isinstance(v, Mapping)}
            plain = {k: v for k, v in values.items() if k not in nested}
            result[name] = _section(classes[name], plain, place, errors)
            result[name] |= _sections(nested, within, {}, errors, f"{place}.")
    return result


def _section(section: type, values: Tree, path: str, errors: list[str]) -> Tree:
    """The values, converted: an integer is a float too, and an array of TOML a tuple."""
    from pydantic import ValidationError

    known = _keys(section)
    wrong: dict[str, list[str]] = {}
    try:
        typed: Tree = _adapter(section).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            wrong.setdefault(key, []).append(_rule(problem["type"], problem["msg"]))
        right = {key: value for key, value in values.items() if key not in wrong}
        typed = _adapter(section).validate_json(json.dumps(right, default=str))
    for key, rules in wrong.items():
        if key in known:
            why = " or ".join(dict.fromkeys(rules))
            errors.append(f"{path}.{key}: {why}. Got {values[key]!r}.")
        else:
            errors.append(_unknown("setting", f"{path}.{key}", [f"{path}.{k}" for k in known]))
    errors += _out_of_range(section, typed, path)
    return typed


@cache
def _adapter(section: type) -> Any:
    """The adapter of a dataclass's fields, each optional, none beside them."""
    import typing_extensions
    from pydantic import AfterValidator, ConfigDict, TypeAdapter
    from pydantic_core import PydanticCustomError

    def refuse(value: Any) -> Any:
        raise PydanticCustomError("needs_python_object", PYTHON_ONLY)

    hints = {name: hint for name, hint in get_type_hints(section).items() if name in _keys(section)}
    refused = Annotated[Any, AfterValidator(refuse)]
    types = {name: hint if _is_plain(hint) else refused for name, hint in hints.items()}
    make: Any = typing_extensions.TypedDict  # mypy takes only a literal call
    kind = make(section.__name__, types, total=False)
    kind.__pydantic_config__ = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")
    return TypeAdapter(kind)


def _keys(section: type) -> list[str]:
    return [f.name for f in fields(section) if f.init]


def _is_plain(hint: Any) -> bool:
    """A type whose values TOML can write."""
    if hint in (int, float, bool, str, NoneType, Any, Ellipsis):
        return True
    origin = get_origin(hint)
    return origin in (Union, UnionType, tuple, dict) and all(map(_is_plain, get_args(hint)))


def _rule(kind: str, message: str) -> str:
    return PYTHON_ONLY if kind == "needs_python_object" else message.removeprefix("Input ")


def _unknown(kind: str, name: str, known: Any) -> str:
    from landscape.utils.names import unknown

    return unknown(kind, name, known)


def _out_of_range(section: type, values: Tree, path: str) -> Iterator[str]:
    """The class itself judges the values: all together, then each to name it."""
    if whole := _refusal(section, values):
        each = [_refusal(section, {key: value}) for key, value in values.items()]
        yield from [_located(line, path) for line in filter(None, each)] or [whole]


def _refusal(section: type, values: Tree) -> str:
    try:
        section(**values)
    except ValueError as error:
        return str(error)
    return ""


def _located(line: str, path: str) -> str:
    """The rule with the full path of its key: "`rho` must ..." as "`sam.rho` must ..."."""
    *outer, name = path.split(".")
    prefix = outer if line.startswith(f"`{name}.") else [*outer, name]
    return line.replace("`", "`" + "".join(f"{part}." for part in prefix), 1)
