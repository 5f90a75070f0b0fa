"""Converts docstrings from plain text, where "|λ|" is no substitution and "rho: the radius" names
a setting, to reStructuredText. Doctest examples stay as they are. Records list their fields with
the shapes from the comments beside them.
"""

import inspect
import re

from landscape.records import Record

SETTING = re.compile(r"^([a-z]\w*(?:, [a-z_]\w*)*(?:\.\.\.)?): ")
QUOTED = re.compile(r"(`+[^`]+`+)")
FIELD = re.compile(r"^    (\w+): .*?#\s*(.*)$", re.MULTILINE)
INDEXES = ("methods/README", "measures/README")


def setup(app):
    """Called by sphinx."""
    app.connect("autodoc-process-docstring", marked_up)
    app.connect("source-read", with_children)
    return {"parallel_read_safe": True}


def marked_up(app, what, name, obj, options, lines):
    """In place."""
    found, in_example = [], False
    for before, line in zip(["", *lines], [*lines], strict=False):
        in_example = bool(line) and (in_example or line.startswith(">>> "))
        if in_example:
            found.append(line)
            continue
        if before and apart(before, line, found):
            found.append("")
        found.append(escaped(SETTING.sub(r"``\1``: ", line)))
    if inspect.isclass(obj) and issubclass(obj, Record):
        found += ["", *(f"- ``{field}``: {escaped(what)}" for field, what in fields(obj))]
    lines[:] = found


def apart(before, line, found):
    """Whether a line begins a paragraph: a setting, an item, or another indentation."""
    if SETTING.match(line) or line.startswith(("- ", "* ")):
        return True
    if line.startswith(" "):
        return not before.startswith((" ", "- ", "* "))
    return before.startswith(" ") and not inside_list(found)


def inside_list(lines):
    """Whether the last paragraph is an item of a list."""
    paragraph = "\n".join(lines).rpartition("\n\n")[2]
    return paragraph.startswith(("- ", "* "))


def escaped(line):
    """A line whose characters mean themselves, but for what stands in backticks."""
    parts = QUOTED.split(line)
    parts[::2] = (re.sub(r"(?<!^)([|*\\])|(_)(?=\W|$)|^(\|)", r"\\\g<0>", p) for p in parts[::2])
    parts[1::2] = (f"``{p.strip('`')}``" for p in parts[1::2])
    return "".join(parts)


def fields(record):
    """(name, comment) of each field whose line has one."""
    return FIELD.findall(inspect.getsource(record))


def with_children(app, docname, source):
    """The cards of an index are its children; in the file itself that would be clutter."""
    if docname in INDEXES:
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"
