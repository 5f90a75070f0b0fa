"""Stored records are read, drawn and put on a page by programs that have no torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "records_v1"
DRAWN = "curves comparison differences noise radius relief scatter scene spectrum surface"
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


HEAVY = """
scipy.stats scipy.interpolate scipy.special scipy.sparse matplotlib jinja2 plotly safetensors
xarray pandas sklearn pyhessian curvlinops
"""
NAMES = "Objective Plane Batch METHODS measures methods optim records train Run"


def test_names_that_train_and_measure_bring_only_torch():
    """What draws, tests, tabulates and writes is imported where it is used."""
    code = (
        f"import sys; import landscape as ls; [getattr(ls, name) for name in {NAMES.split()}]; "
        f"print(*[m for m in {HEAVY.split()} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
