"""Stored records are read, drawn and put on a page by programs that have no torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # runs the program from end to end

FOLDER = Path(__file__).parent / "records_v1"
DRAWN = (
    "curves comparison differences eigenvalue_count noise radius relief scatter scene spectrum "
    "surface"
)
LOADED = f"""
import sys
sys.modules["torch"] = None  # every import of it raises
from pathlib import Path
from landscape import plots, records, report, statistics
stored = {{path.stem: records.load(path) for path in Path({str(FOLDER)!r}).glob("*.nc")}}
"""
SOME = """
plots.save(plots.curves(stored["curves"]), Path("curves.svg"))
contents = report.Contents(stored["study"], stored["comparison"], {})
Path("page.html").write_text(report.render(contents), encoding="utf-8")
"""
ALL = """
for name, kind in plots.DRAWS.items():
    if kind in stored:
        ending = "html" if name == "scene" else "svg"
        plots.save(plots.PLOTS[name](stored[kind]), Path(f"{name}.{ending}"))
study, comparison = stored["study"], stored["comparison"]
cells = {(m, int(s)): stored for m in map(str, study.methods) for s in study.seeds}
report.write(report.Contents(study, comparison, cells), Path("page"))
"""


def run(code, folder):
    """A fresh process in a folder; its errors where it fails."""
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED + code],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_records_are_loaded_and_drawn_and_a_page_is_rendered(tmp_path):
    run(SOME, tmp_path)
    assert (tmp_path / "curves.svg").stat().st_size > 5_000
    assert (tmp_path / "page.html").stat().st_size > 10_000


@pytest.mark.slow
def test_every_record_is_drawn_and_the_whole_report_is_written(tmp_path):
    run(ALL, tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {*DRAWN.split(), "page"}
    figures = {path.name for path in (tmp_path / "page" / "figures").iterdir()}
    assert len(figures) > 6
    assert (tmp_path / "page" / "tables" / "study.nc").is_file()


DRAWS_AND_TABULATES = """
scipy.stats scipy.interpolate scipy.sparse matplotlib jinja2 plotly pyhessian curvlinops sklearn
torch._dynamo sympy xarray pandas
"""
WRITES = "scipy.special safetensors"
NAMES = """
import sys
import landscape as ls
[getattr(ls, name) for name in dir(ls) if name not in ("plots", "sharded", "ShardedObjective")]
print(*[m for m in sys.argv[1].split() if m in sys.modules])
"""
CELL = """
from landscape.study.cell import Cell
cell = Cell("digits", "sgd", 0, "run", {"training": {"epochs": 1}}, ("eigenvalues", "noise"),
            {"noise": {"draws": 2}}, 50, "stored", None)
cell.run(lambda message: None)
print(*[m for m in sys.argv[1].split() if m in sys.modules])
"""


def test_only_what_is_used_is_imported(tmp_path):
    """The public names bring torch alone, but for a network in shards; a cell, trained and
    measured, the files' writers too.
    """
    heavy = DRAWS_AND_TABULATES + WRITES
    done = subprocess.run(
        [sys.executable, "-c", NAMES + CELL, heavy],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    of_names, of_cell = (set(line.split()) for line in done.stdout.splitlines())
    assert of_names == set()
    assert of_cell <= {*WRITES.split(), "scipy.sparse"}  # by scipy's netCDF writer
