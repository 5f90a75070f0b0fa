"""Our pages: jinja templates with everything escaped, and the colours of the figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from landscape.report.inline import colour_variables

TEMPLATES = Path(__file__).parent


def rendered(template: str, **values: Any) -> str:
    """A page from one of the templates; style, light and dark are given to it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        light=Markup(colour_variables(dark=False)),
        dark=Markup(colour_variables(dark=True)),
        **values,
    )


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as lines ("training.epochs", "20")."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += flat(value, f"{prefix}{key}.")
        else:
            lines.append((f"{prefix}{key}", str(value)))
    return lines
