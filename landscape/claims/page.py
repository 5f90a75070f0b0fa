"""Files of the claims: claims.json for programs, claims.md and claims.html for people, figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landscape.claims import wording
from landscape.utils import files


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write the table, the page and the figures of an outcome; content: that of claims.json."""
    from landscape.plots import save
    from landscape.plots.claims.forest import forest

    rows = content["claims"]
    note = wording.QUICK_NOTE if content["quick"] else ""
    said = f"{wording.headline(rows)}\n\n{wording.markdown(rows)}"
    files.write_json(path / "claims.json", content)
    files.write(path / "claims.md", f"{note}\n\n{said}" if note else said)
    shown = wording.measured(rows)
    (path / "figures").mkdir(exist_ok=True)
    if shown:
        figure = forest(shown)
        for ending in ("svg", "pdf", "png"):
            save(figure, path / "figures" / f"claims.{ending}")
    files.write(path / "claims.html", page(content))


def page(content: Mapping[str, Any]) -> str:
    """The page of an outcome, self-contained."""
    from landscape.plots.claims.forest import forest
    from landscape.report.inline import inline_svg
    from landscape.report.template import rendered

    rows = content["claims"]
    shown = wording.measured(rows)
    alt = wording.headline(rows)
    return rendered(
        "claims.html.jinja",
        title="Do the claims hold?",
        headline=alt,
        quick=wording.QUICK_NOTE if content["quick"] else "",
        drawing=inline_svg(forest(shown), "forest", alt) if shown else "",
        head=wording.HEAD,
        tables=wording.tables(rows),
        missing=wording.missing(rows),
        studies=[wording.about_study(*study) for study in content["studies"].items()],
        study_head=wording.STUDY_HEAD,
        machine=wording.machine(content["environment"]),
        command=content["command"],
    )
