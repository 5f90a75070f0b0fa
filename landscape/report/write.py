"""The report as a folder: page, figures for a paper, tables for other programs."""

from pathlib import Path

from landscape import plots
from landscape.plots.drawing import output
from landscape.plots.drawing.method_styles import distinct_styles
from landscape.report import print_tables, tables
from landscape.report.contents import Contents, flattest_first
from landscape.report.figures import figures
from landscape.report.page import page
from landscape.utils import files


def write(contents: Contents, folder: Path | str) -> Path:
    """Write report.html, figures/*.png and *.svg, tables/*; answer the path of report.html.

    Every file is written whole or not at all, the page last: where it stands, all of it stands.
    """
    folder = Path(folder)
    ordered = flattest_first(contents)
    with distinct_styles(contents.methods):
        drawn = figures(ordered)
        text = page(ordered, drawn)
        for figure in drawn:
            for ending in ("png", "svg"):
                plots.save(figure.figure, folder / "figures" / f"{figure.name}.{ending}")
                output.settle(figure.figure)  # the first drawing has laid it out
    _tables(contents, folder / "tables")
    for name, table in (("md", print_tables.markdown), ("tex", print_tables.latex)):
        files.write(folder / "tables" / f"comparison.{name}", table(ordered))
    files.write(folder / "report.html", text)
    return folder / "report.html"


def _tables(contents: Contents, folder: Path) -> None:
    files.write(folder / "study.csv", tables.study_csv(contents.study))
    files.write(folder / "comparison.csv", tables.comparison_csv(contents.comparison))
    for name, record in (("study", contents.study), ("comparison", contents.comparison)):
        record.save(folder / f"{name}.nc")
        record.save(folder / f"{name}.json")
