"""Settings held against the dataclasses that they are for: names, types, then ranges."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

Tree = dict[str, Any]
Classes = Mapping[str, type]
Check = Callable[[type, Tree, str], Tree]
PYTHON_ONLY = "only Python can set it"


def checked(tree: Mapping[str, Any], classes: Classes) -> Tree:
    """The values by section, {"training": {"epochs": 20}}, as the fields of `classes` have them.

    A section may lie in another one: {"sam": {"training": {...}}}.
    Raises ValueError with every unknown key and wrong type, or else every value out of its range.
    """
    checks = _Checks()
    typed = _each(tree, classes, checks.types)
    if not checks.errors:
        _each(typed, classes, checks.ranges)
    if checks.errors:
        raise ValueError("\n".join(dict.fromkeys(checks.errors)))
    return typed


def _each(tree: Mapping[str, Any], classes: Classes, check: Check, path: str = "") -> Tree:
    """The tree with `check(class, own values, path)` in place of each section's own values."""
    result: Tree = {}
    for name, values in tree.items():
        nested = {k: v for k, v in values.items() if k in classes and isinstance(v, Mapping)}
        own = {k: v for k, v in values.items() if k not in nested}
        result[name] = check(classes[name], own, f"{path}{name}")
        result[name] |= _each(nested, classes, check, f"{path}{name}.")
    return result


class _Checks:
    """What is wrong with the sections that were looked at, one line each."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def types(self, section: type, values: Tree, path: str) -> Tree:
        """The values, converted: an integer is a float too, and an array of TOML a tuple."""
        from landscape.utils.names import unknown

        hints = get_type_hints(section)
        known = {f"{path}.{f.name}": hints[f.name] for f in fields(section) if f.init}
        result: Tree = {}
        for key, value in values.items():
            if (place := f"{path}.{key}") in known:
                result[key] = self._typed(known[place], value, place)
            else:
                self.errors.append(unknown("setting", place, known))
        return result

    def _typed(self, hint: Any, value: Any, place: str) -> Any:
        from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError
        from pydantic_core import SchemaError

        config = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
        try:
            return TypeAdapter(hint, config=config).validate_json(json.dumps(value, default=str))
        except ValidationError as error:
            rules = dict.fromkeys(_rule(e["type"], e["msg"]) for e in error.errors())
            self.errors.append(f"{place}: {' or '.join(rules)}. Got {value!r}.")
        except (PydanticSchemaGenerationError, SchemaError):
            self.errors.append(f"{place}: {PYTHON_ONLY}. Got {value!r}.")
        return value

    def ranges(self, section: type, values: Tree, path: str) -> Tree:
        """The same values; the class itself judges them: all together, then each to name it."""
        if whole := _refusal(section, values):
            each = [_refusal(section, {key: value}) for key, value in values.items()]
            self.errors += [_located(line, path) for line in filter(None, each)] or [whole]
        return values


def _rule(kind: str, message: str) -> str:
    return PYTHON_ONLY if kind == "needs_python_object" else message.removeprefix("Input ")


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
