"""landscape plot: figures of runs, and what it refuses."""

import json
import shutil

import pytest


def width(png):
    """In pixels, from the header."""
    return int.from_bytes(png.read_bytes()[16:20], "big")


def test_a_figure_of_a_run(landscape, trained, tmp_path):
    options = ("--measures", "surface", "--set", "surface.size=5", "--examples", "32")
    assert landscape("analyze", trained, *options).code == 0
    drawn = landscape("plot", trained, "--kind", "surface")
    assert drawn.last_line == str(trained / "figures" / "surface.png")
    assert (trained / "figures" / "surface.png").read_bytes()[1:4] == b"PNG"
    both = landscape("plot", trained, "--kind", "surface", "--quantity", "accuracy", "--other")
    assert (both.code, both.err) == (0, "")
    column = landscape("plot", trained, "--kind", "surface", "--width", "column", "--out", tmp_path)
    assert column.code == 0
    assert width(tmp_path / "surface.png") == 3.4 * 200 < width(trained / "figures/surface.png")
    scene = landscape("plot", trained, "--kind", "surface", "--format", "html", "--out", tmp_path)
    assert "<html" in (tmp_path / "surface.html").read_text()
    assert scene.last_line == str(tmp_path / "surface.html")
    still = landscape("plot", trained, "--kind", "scene", "--format", "svg", "--out", tmp_path)
    assert still.last_line == str(tmp_path / "scene.svg")
    turned = landscape("plot", trained, "--kind", "relief", "--format", "html", "--out", tmp_path)
    assert "plotly" in (tmp_path / "relief.html").read_text() and turned.code == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--kind", "spectre"], "Unknown kind of figure 'spectre'. Did you mean 'spectrum'?"),
        (["--kind", "curves", "--format", "jpg"], "Unknown format 'jpg'."),
        (["--kind", "curves", "--format", "html"], "html shows a surface in 3-D, and only that."),
        (
            ["--kind", "curves", "--other"],
            "`--other` has no effect on a figure of the kind curves.",
        ),
        (["--kind", "curves", "--width", "wide"], "Unknown width 'wide'. Known: page, column."),
        (
            ["--kind", "surface", "--format", "html", "--width", "column"],
            "`--width` has no effect on html: it fills its window.",
        ),
        (["--kind", "scatter"], "{run} is not a study: it has no study.json."),
    ],
)
def test_figures_that_do_not_exist_are_refused(refused, trained, arguments, expected):
    (line,) = refused("plot", trained, *arguments)
    assert line.startswith(expected.format(run=trained))


def test_a_missing_record_says_how_to_get_it(refused, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "bare", ignore=shutil.ignore_patterns("records"))
    manifest = tmp_path / "bare" / "manifest.json"
    sums = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({k: v for k, v in sums.items() if "records" not in k}))
    (line,) = refused("plot", "bare", "--kind", "spectrum")
    assert line.endswith("Measure it: landscape analyze bare --measures eigenvalues")
    (line,) = refused("plot", "bare", "--kind", "path")
    assert line.endswith("Measure it: landscape analyze bare --measures path --to RUN")


def test_a_folder_that_is_no_run_is_refused(refused, tmp_path):
    (line,) = refused("plot", tmp_path, "--kind", "noise")
    assert line == f"{tmp_path} is not a run: it has no settings.json."
