"""landscape report: the page of a study, made again from what its folder holds."""

from pathlib import Path
from typing import Annotated

import typer

from landscape_cli import options, progress


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study.")],
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Write the report of a study again, without training or measuring.

    Example: landscape report runs/digits
    """
    from landscape.study import study
    from landscape.utils.progress import Progress

    found = study.Study(folder)
    with progress.shown(json, quiet) as listener:
        listener(Progress("report", "", 0, 1))
        page = study.report(found.path)
        listener(Progress("report", "", 1, 1))
    options.hand_over({"report": page}, page, json)
