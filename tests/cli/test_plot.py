"""landscape plot: figures of runs, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # runs the program from end to end


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


@pytest.fixture
def two(landscape, trained, tmp_path):
    """Two folders of runs of one method: with a surface, and without."""
    for name in "ab":
        copy = shutil.copytree(trained, tmp_path / name)
        (copy / "records" / "surface.nc").unlink(missing_ok=True)
        shutil.rmtree(copy / "figures", ignore_errors=True)
        sums = json.loads((copy / "manifest.json").read_text())
        kept = {path: value for path, value in sums.items() if "surface" not in path}
        (copy / "manifest.json").write_text(json.dumps(kept))
    options = ("--measures", "surface", "--set", "surface.size=3", "--examples", "16")
    assert landscape("analyze", "a", *options).code == 0
    return tmp_path / "a", tmp_path / "b", options


def test_a_folder_without_the_record_is_not_left_out_in_silence(refused, two):
    a, b, _ = two
    (line,) = refused("plot", a, b, "--kind", "surface")
    assert line.startswith(f"{b} holds no record of surface. Measure it:")
    assert not (a / "figures").exists()


def test_two_runs_of_a_method_are_both_drawn_and_overwrite_nothing(landscape, two, monkeypatch):
    from landscape import plots

    a, b, options = two
    alone = landscape("plot", a, "--kind", "surface").last_line
    before = (a / "figures" / "surface.png").read_bytes()
    assert landscape("analyze", b, *options).code == 0
    drawn, plot = {}, plots.PLOTS["surface"]
    monkeypatch.setitem(plots.PLOTS, "surface", lambda r: drawn.update(r) or plot(r))
    both = landscape("plot", a, b, "--kind", "surface").last_line
    assert both == str(a / "figures" / "surface-with-b.png") != alone
    assert (a / "figures" / "surface.png").read_bytes() == before
    assert len(drawn) == 2 and all(len(records) == 1 for records in drawn.values())


def test_a_surface_along_other_directions_is_an_option_away(landscape, refused, two, monkeypatch):
    from landscape import plots

    a, _, options = two
    (line,) = refused("plot", a, "--kind", "surface", "--directions", "eigenvectors")
    assert line == (
        f"{a} holds no record of surface along eigenvectors. Measure it: landscape analyze {a} "
        "--measures surface --set surface.directions=eigenvectors"
    )
    (line,) = refused("plot", a, "--kind", "noise", "--directions", "random")
    assert line == "`--directions` is for surfaces and profiles: --kind surface."
    done = landscape("analyze", a, *options, "--set", "surface.directions=eigenvectors")
    assert done.code == 0
    drawn, plot = [], plots.PLOTS["surface"]
    monkeypatch.setitem(
        plots.PLOTS, "surface", lambda r: drawn.append(r["sam"][0].directions) or plot(r)
    )
    landscape("plot", a, "--kind", "surface")
    last = landscape("plot", a, "--kind", "surface", "--directions", "eigenvectors").last_line
    assert drawn == ["random", "eigenvectors"]
    assert last == str(a / "figures" / "surface-eigenvectors.png")


def test_a_scene_is_one_of_bowls_where_areas_were_measured(landscape, refused, two):
    a, *_ = two
    plain = landscape("plot", a, "--kind", "scene", "--format", "html").last_line
    assert "How far can the weights move" not in Path(plain).read_text(encoding="utf-8")
    small = ("--set", "rise_area.size=11", "--set", "rise_area.cells=1")
    done = landscape("analyze", a, "--measures", "rise_area", *small, "--examples", "16")
    assert done.code == 0
    bowl = landscape("plot", a, "--kind", "scene", "--format", "html").last_line
    assert "How far can the weights move" in Path(bowl).read_text(encoding="utf-8")
    random = landscape(
        "plot", a, "--kind", "scene", "--format", "html", "--directions", "random"
    ).last_line
    assert "How far can the weights move" not in Path(random).read_text(encoding="utf-8")
    (line,) = refused("plot", a, "--kind", "bowl_scene")
    assert line == "A bowl to turn around needs --format html."


def test_animations(landscape, refused, two, monkeypatch):
    from landscape.plots.bowl import turning

    monkeypatch.setattr(turning, "FRAMES", 2)
    a, *_ = two
    small = ("--set", "rise_area.size=11", "--set", "rise_area.cells=1")
    assert landscape("analyze", a, "--measures", "rise_area", *small, "--examples", "16").code == 0
    drawn = landscape("plot", a, "--kind", "animation")
    assert (drawn.code, drawn.last_line) == (0, str(a / "figures" / "animation-bowl.gif"))
    assert (a / "figures" / "animation-bowl.gif").read_bytes()[:4] == b"GIF8"
    (line,) = refused("plot", a, "--kind", "animation", "--of", "trajectory")
    assert line.startswith(f"{a} holds no record of surface along trajectory. Measure it: ")
    (line,) = refused("plot", a, "--kind", "animation", "--of", "walk")
    assert "bowl, trajectory" in line
    (line,) = refused("plot", a, "--kind", "animation", "--format", "png")
    assert "must end in .gif or .mp4" in line
    (line,) = refused("plot", a, "--kind", "surface", "--of", "bowl")
    assert line == "`--of` says what an animation shows: --kind animation."


def test_one_study_is_drawn_at_a_time(refused, trained, tmp_path):
    (line,) = refused("plot", trained, tmp_path, "--kind", "differences")
    assert line == "A figure of the kind comparison shows one study. Got 2."


def test_without_a_kind_all_that_was_measured_is_drawn(landscape, trained, tmp_path):
    """Figures of the records that are there, their paths, the folder last."""
    landscape("analyze", trained, "--measures", "eigenvalues,noise", "--examples", "50", "--k", "1")
    code, out, _ = landscape("plot", trained, "--out", tmp_path / "all", "--format", "svg")
    assert code == 0
    *figures, folder = out.splitlines()
    assert folder == str(tmp_path / "all")
    names = {f"{name}.svg" for name in ("curves", "spectrum", "noise")}
    assert names <= {path.name for path in (tmp_path / "all").iterdir()}
    assert sorted(figures) == sorted(str(path) for path in (tmp_path / "all").iterdir())


def test_an_option_of_one_figure_needs_its_kind(refused, trained):
    (line,) = refused("plot", trained, "--quantity", "accuracy")
    assert line == "`--quantity` needs the figure it is for: --kind surface."
