"""Our pages: jinja templates with everything escaped, and the colours of the figures."""

import base64
import functools
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from landscape.report.inline import colour_variables
from landscape.utils.text import printable_lines

TEMPLATES = Path(__file__).parent


def rendered(
    template: str, *, scripts: Sequence[str] = (), packed: Sequence[str] = (), **values: Any
) -> str:
    """A page from one of the templates; style, light and dark are given to it.

    scripts: run at its end, in this order. packed: scripts that the page holds compressed and runs
    when it needs them. Its policy lets no other script run, and no request leave it.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template(template).render(
        style=Markup(read("page.css")),
        light=Markup(colour_variables(dark=False)),
        dark=Markup(colour_variables(dark=True)),
        scripts=[Markup(script) for script in scripts],
        policy=Markup(_policy([*packed, *scripts])),
        **values,
    )


def _shown(value: Any) -> Any:
    """Text without signs that reorder or hide it; what is markup already stays."""
    return printable_lines(value) if type(value) is str else value


@functools.cache
def compressed(script: str) -> str:
    """A script as base64 of gzip, which a page unpacks: a third as long as its text."""
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()


def read(name: str) -> str:
    """The text of a style or script that lies beside the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """A content security policy: these scripts by their hashes, styles and pictures of the page."""
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as lines ("training.epochs", "20")."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += flat(value, f"{prefix}{key}.")
        else:
            lines.append((f"{prefix}{key}", written(value)))
    return lines


def written(value: Any) -> str:
    """A setting as people write it: lists with commas, tables of a list between semicolons."""
    if isinstance(value, Mapping):
        given = {name: item for name, item in value.items() if item is not None}
        return ", ".join(f"{name} = {written(item)}" for name, item in given.items())
    if isinstance(value, list | tuple):
        between = "; " if any(isinstance(item, Mapping) for item in value) else ", "
        return between.join(map(written, value)) or "none"
    return str(value)
