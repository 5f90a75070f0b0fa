"""What every figure looks like, against images/*.png.

RENEW_IMAGES=1 writes them anew; look at the difference before it is committed. Words are drawn as
bars as long as they are, so that no font library has a say; what they say is tested elsewhere.
"""

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D
from PIL import Image
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from landscape import plots
from landscape.plots.correlation.forest import forest
from landscape.plots.correlation.matrix import matrix
from landscape.plots.correlation.networks import networks
from landscape.plots.drawing.output import rendered
from tests.correlation import small_grid

IMAGES = Path(__file__).with_name("images")
DPI = 60
NEAR = 3  # pixels across, in which a pixel may find its like
LEVELS = 9  # of 255, by which a colour may differ
STRAY = 12  # pixels that may differ
SCENE_STRAY = 150  # another browser draws its lines a little otherwise
NO_LETTERS = """
const plot = document.querySelector(".js-plotly-plot"), nothing = {color: "rgba(0,0,0,0)"};
const change = {font: nothing, "title.font": nothing, "title.subtitle.font": nothing};
for (const axis of ["xaxis", "yaxis", "zaxis"])
  for (const font of ["title.font", "tickfont"]) change[`scene.${axis}.${font}`] = nothing;
return Plotly.update(plot, {"colorbar.tickfont": nothing, "colorbar.title.font": nothing}, change);
"""

BY_METHOD = [name for name, kind in plots.DRAWS.items() if kind not in ("comparison", "study")]
CASES = (
    *(name for name in BY_METHOD if name not in ("scene", "bowl_scene")),
    *(
        "comparison",
        "differences",
        "scatter",
        "barrier",
        "stems",
        "trajectory",
        "minima",
        "accuracy",
        "pair",
        "noise_difference",
        "correlation_matrix",
        "correlation_forest",
        "correlation_networks",
    ),
)


def _fitted(record, directions, names):
    """On a plane through points."""
    points = np.array([[-0.8, 0.6], [0.1, 0.5], [0.4, -0.3]])
    return replace(
        record, directions=directions, points=points, point_names=np.array(names),
        points_off_plane=np.full(3, 0.1), explained=np.array([0.8, 0.15]), position=points[-1],
    )  # fmt: skip


@pytest.fixture(autouse=True)
def bars_for_words(monkeypatch):
    def size(renderer, s, prop, ismath):
        letter = renderer.points_to_pixels(prop.get_size_in_points())
        return 0.52 * letter * len(re.sub(r"\\mathdefault|[${}^\\]", "", s)), letter, 0.25 * letter

    def bar(renderer, gc, x, y, s, prop, angle, ismath=False, mtext=None):
        width, height, _ = size(renderer, s, prop, ismath)
        place = Affine2D().scale(width, 0.6 * height).rotate_deg(angle)
        gc.set_linewidth(0)
        renderer.draw_path(
            gc, Outline.unit_rectangle(), place.translate(x, renderer.height - y), gc.get_rgb()
        )

    monkeypatch.setattr(RendererAgg, "get_text_width_height_descent", size)
    monkeypatch.setattr(RendererAgg, "draw_text", bar)


@pytest.fixture
def draw(made_up, comparison_record, study_record):
    """Name of a case -> its figure."""
    surface = made_up["surface"]["sgd"][0]
    paths = {method: found[0] for method, found in made_up["path"].items()}
    way = _fitted(surface, "trajectory", ("0", "1", "2"))
    minima = _fitted(surface, "minima", ("sgd, seed 0", "sam, seed 0", "lets, seed 0"))
    broken = surface.loss.copy()
    broken[12:, 9:] = np.nan
    special = {
        "comparison": lambda: plots.comparison(comparison_record),
        "differences": lambda: plots.differences(comparison_record),
        "scatter": lambda: plots.scatter(study_record, comparison_record),
        "path": lambda: plots.path(paths),
        "barrier": lambda: plots.path({"sam": paths["sam"]}),
        "stems": lambda: plots.spectrum({"sam": made_up["eigenvalues"]["sam"][:1]}),
        "trajectory": lambda: plots.surface({"sgd": way}),
        "minima": lambda: plots.surface({"sgd": minima}),
        "accuracy": lambda: plots.surface(made_up["surface"], "accuracy"),
        "noise_difference": lambda: plots.noise_difference(
            {m: dict(enumerate(found)) for m, found in made_up["noise"].items()}, "sgd"
        ),
        "correlation_matrix": lambda: matrix(small_grid.answers()),
        "correlation_forest": lambda: forest(small_grid.answers()),
        "correlation_networks": lambda: networks(small_grid.table(), "learning rate"),
        "pair": lambda: plots.surface({"sgd": replace(surface, loss=broken)}, other=True),
    }

    def figure(name):
        return special[name]() if name in special else plots.PLOTS[name](made_up[plots.DRAWS[name]])

    return figure


def pixels(data):
    """RGB of a PNG, (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)


def strays(one, two):
    """Number of pixels of either image without their like nearby in the other.

    Both are blurred a little, so that a line between two pixels is the line on one of them; then a
    pixel must lie between the darkest and the brightest of its neighbourhood in the other.
    """
    one, two = (gaussian_filter(image, (0.8, 0.8, 0)) for image in (one, two))
    found = np.zeros(one.shape[:2], dtype=bool)
    for mine, other in ((one, two), (two, one)):
        low, high = (find(other, (NEAR, NEAR, 1)) for find in (minimum_filter, maximum_filter))
        found |= ((mine < low - LEVELS) | (mine > high + LEVELS)).any(axis=2)
    return int(found.sum())


def compared(name, data, folder, stray=STRAY):
    """Fail where a PNG is not what images/ holds; or write it there."""
    path = IMAGES / f"{name}.png"
    if os.environ.get("RENEW_IMAGES"):
        path.parent.mkdir(exist_ok=True)
        coarse = pixels(data) // 6 * 6  # a smaller file, less than LEVELS away
        Image.fromarray(coarse.astype(np.uint8)).save(path, optimize=True)
    found, wanted = pixels(data), pixels(path.read_bytes())
    if found.shape != wanted.shape or strays(found, wanted) > stray:
        (folder / path.name).write_bytes(data)
        pytest.fail(f"{folder / path.name} does not look like {path}.")


@pytest.mark.parametrize("name", CASES)
def test_it_looks_as_it_did(draw, name, tmp_path):
    compared(name, rendered(draw(name), "png", dpi=DPI), tmp_path)


@pytest.mark.slow
def test_the_scene_looks_as_it_did(made_up, opened, tmp_path):
    """In a browser, without the letters: its fonts are its own."""
    path = plots.save(plots.scene({"sgd": made_up["surface"]["sgd"]}), tmp_path / "scene.html")
    page = opened(path, viewport={"width": 400, "height": 300})
    page.wait_for_selector("canvas")
    page.evaluate(f"async () => {{ {NO_LETTERS} }}")
    seen = b""
    while seen != (seen := page.screenshot()):
        page.wait_for_timeout(500)
    compared("scene", seen, tmp_path, stray=SCENE_STRAY)


def test_every_kind_of_figure_has_an_image():
    assert plots.PLOTS.keys() <= {*CASES, "scene", "bowl_scene"}
    assert {path.stem for path in IMAGES.glob("*.png")} == {*CASES, "scene"}
    assert all(path.stat().st_size < 25_000 for path in IMAGES.glob("*.png"))
