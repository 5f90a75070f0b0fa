"""The scene of bowls: one at a time, one scale, words that are true; and its page in a browser."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from landscape.plots import bowl_scene, save

EVIL = "</script><script>window.hit = 1</script>"


@pytest.fixture
def records(made_up):
    return made_up["rise_area"]


def test_one_bowl_is_visible_and_all_share_axes_colours_and_camera(records):
    figure = bowl_scene(records)
    bowls = [trace for trace in figure.data if trace.cmax is not None]
    assert [trace.meta for trace in bowls] == ["sgd", "sam", "lets"]
    assert {(trace.cmin, trace.cmax) for trace in bowls} == {(0, 0.4)}
    assert {trace.meta for trace in figure.data if trace.visible} == {"sgd"}
    scene = figure.layout.scene
    assert scene.xaxis.range == scene.yaxis.range
    assert max(np.nanmax(np.array(t.x, dtype=float)) for t in bowls) <= scene.xaxis.range[1]
    assert scene.zaxis.range[1] >= 0.4


def test_the_baseline_is_dashed_under_each_other_bowl(records):
    dashed = [
        trace.meta for trace in bowl_scene(records).data
        if trace.cmax is None and np.isnan(np.array(trace.z, dtype=float)).any()
    ]  # fmt: skip
    assert dashed == ["sam", "lets"]
    assert "dashed: SGD’s at 0.1" in bowl_scene(records).layout.meta["caption"]
    assert "dashed" not in bowl_scene({"sam": records["sam"]}).layout.meta["caption"]


def test_the_numbers_are_means_over_seeds(records):
    for about in bowl_scene(records).layout.meta["methods"]:
        found = records[about["name"]]
        assert float(about["area"]) == pytest.approx(np.mean([r.area for r in found]), rel=0.01)
        mean = np.mean([r.eigenvalues[0] for r in found])
        assert float(about["curvature"]) == pytest.approx(mean, rel=0.01)


def test_no_area_is_said_never_drawn(records):
    nan = np.full(3, np.nan)
    gone = [replace(r, areas=nan, area_errors=nan, no_area="it leaves") for r in records["sam"]]
    figure = bowl_scene({**records, "sam": gone})
    (about,) = (m for m in figure.layout.meta["methods"] if m["name"] == "sam")
    assert (about["area"], about["why"]) == ("–", "it leaves")
    red = [t.meta for t in figure.data if t.colorscale[0][1] == "#D1350F"]
    assert red == ["sgd", "sgd", "lets", "lets"]


def test_the_page_holds_everything_and_runs_nothing_foreign(records, tmp_path):
    path = save(bowl_scene({"sgd": records["sgd"], EVIL: records["sam"]}), tmp_path / "s.html")
    page = path.read_text(encoding="utf-8")
    assert EVIL not in page and page.count("<script>") == page.count("</script>") == 2
    assert "http://" not in page.split("const figure")[1]
    assert len(page) < 6_000_000
    data = page.split("const figure = ")[1].split(";\nconst words")[0]
    assert json.loads(data)["layout"]["meta"]["methods"][1]["name"] == EVIL


def ink(page):
    """Share of the width that the scene fills, and pixels left free on each side."""
    image = np.asarray(Image.open(io.BytesIO(page.locator("#plot").first.screenshot())))[..., :3]
    drawn = np.abs(image.astype(int) - image[2, 2].astype(int)).max(2) > 12
    x, y = (np.flatnonzero(drawn.any(axis=axis)) for axis in (0, 1))
    free = min(x[0], y[0], drawn.shape[1] - 1 - x[-1], drawn.shape[0] - 1 - y[-1])
    return (x[-1] - x[0]) / drawn.shape[1], free


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "width", "height"), [("light", 1440, 900), ("dark", 1024, 800), ("light", 390, 844)]
)
def test_it_fills_its_window_over_a_full_turn(opened, records, tmp_path, width, height, scheme):
    """Bowls of areas 1 : 4 on one scale; of the digits' methods all fill 48 to 86 %."""
    path = save(bowl_scene(records), tmp_path / "s.html")
    page = opened(
        path, viewport={"width": width, "height": height}, color_scheme=scheme,
        reduced_motion="reduce",
    )  # fmt: skip
    page.wait_for_selector("#plot canvas")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("SGD", "LETS"):
        page.get_by_role("button", name=name).click()
        for k in range(4):
            page.evaluate(
                f"angle = {k} * Math.PI / 2 + 0.4;"
                "Plotly.relayout(scene, {'scene.camera': camera()})"
            )
            page.wait_for_timeout(500)
            share, free = ink(page)
            assert (0.33 if name == "SGD" else 0.6) <= share <= 0.95 and free >= 12
    assert page.errors == []
    assert [u for u in page.requests if not u.startswith(("data:", "blob:"))] == [path.as_uri()]


@pytest.mark.slow
def test_a_touch_stops_the_turn(opened, records, tmp_path):
    page = opened(save(bowl_scene(records), tmp_path / "s.html"))
    page.wait_for_selector("#plot canvas")
    page.wait_for_function("turning && angle > -0.75")
    page.locator("#plot").first.click()
    stopped = page.evaluate("angle")
    page.wait_for_timeout(400)
    assert page.evaluate("[turning, angle]") == [False, stopped]
    page.get_by_role("button", name="turn").click()
    page.wait_for_function(f"turning && angle > {stopped}")
