"""landscape view: open the page of a study or an audit in the browser."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from landscape_cli import options
from landscape_cli.say import say


def view(
    path: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a study or an audit; or a page, .html.")
    ],
    json: options.Json = False,
) -> None:
    """Open the report in the browser; where there is none, the path is what it prints.

    Example: landscape view runs/digits
    """
    page = _page(path).resolve()
    opened = _open(page)
    if not opened and not json:
        say("note: there is no browser here; open this file in one.", err=True)
    options.hand_over({"report": page, "opened": opened}, page, json)


def _page(path: Path) -> Path:
    """The page of a folder; ValueError that says how to make it where there is none."""
    if path.is_file() and path.suffix == ".html":
        return path
    if not path.is_dir():
        raise ValueError(f"There is no folder {path}.")
    pages = [
        page
        for name in ("report.html", "audit.html", "claims.html")
        if (page := path / name).is_file()
    ]
    if pages:
        return pages[0]
    if (path / "study.json").is_file():
        raise ValueError(f"{path} has no report yet: landscape report {path}")
    if (path / "settings.json").is_file():
        raise ValueError(f"{path} is one run, which has figures: landscape plot {path}")
    raise ValueError(f"{path} holds no report.html: landscape compare writes one.")


def _open(page: Path) -> bool:
    """Show a page in the user's browser; False where there is none that shows pictures."""
    try:
        name = Path(getattr(webbrowser.get(), "name", "")).name
        return name not in TEXT_BROWSERS and webbrowser.open(page.as_uri())
    except webbrowser.Error:
        return False


TEXT_BROWSERS = ("www-browser", "links", "elinks", "lynx", "w3m")  # they would take the terminal
