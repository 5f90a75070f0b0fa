"""landscape report: the page of a study, made again from what its folder holds."""

from pathlib import Path
from typing import Annotated

import typer

from landscape_cli import options


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study.")],
    json: options.Json = False,
) -> None:
    """Write the report of a study again, without training or measuring.

    Example: landscape report runs/digits
    """
    from landscape import study

    page = study.report(folder)
    options.hand_over({"report": page}, page, json)
