"""Figures inside the page: SVG that follows the reader's theme and clashes with no other figure."""

import re

from markupsafe import Markup
from matplotlib.figure import Figure

from landscape.plots.drawing import output
from landscape.plots.drawing.style import DARK


def inline_svg(figure: Figure, name: str, alt: str) -> Markup:
    """An <svg> element; its colours are CSS variables (`colour_variables`).

    It lays the figure out. name: prefix of all ids, unique on the page. Pixels inside it (filled
    contours) at 160 per inch.
    """
    svg = output.rendered(figure, "svg", transparent=True, dpi=160).decode()
    output.settle(figure)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(?<= [dxy]=")[^"]*', _shortened, svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'\sid="', f' id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    svg = svg.replace("xlink:href=", "href=")
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r"(fill|stroke|color): (#[0-9a-f]{6})", _variable, svg)
    opening, rest = svg.split(">", 1)
    opening = re.sub(r'\s(width|height|version)="[^"]*"', "", opening)
    return Markup('{} role="img" aria-label="{}">{}').format(Markup(opening), alt, Markup(rest))


def colour_variables(dark: bool) -> str:
    """CSS declarations of every colour that figures use, for a light or a dark page."""
    pairs = ((colour, on_dark if dark else colour) for colour, on_dark in DARK.items())
    return " ".join(f"{_property(colour)}: {value};" for colour, value in pairs)


def variable(colour: str) -> str:
    """The CSS expression for one of the figures' colours."""
    return f"var({_property(colour)})"


def _property(colour: str) -> str:
    return f"--c-{colour[1:].lower()}"


def _shortened(match: re.Match[str]) -> str:
    """Paths and places to a hundredth of a point: half of the text, and no eye sees the rest."""
    return re.sub(r"(\.\d\d)\d+", r"\1", match[0])


def _variable(match: re.Match[str]) -> str:
    known = {colour.lower() for colour in DARK}
    colour = match[2]
    return f"{match[1]}: {variable(colour) if colour in known else colour}"
