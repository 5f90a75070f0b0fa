"""The page in a real browser: draws, answers, asks nothing of the network, runs nothing foreign."""

import dataclasses

import numpy as np
import pytest

from landscape.records import DisplacementRecord
from landscape.report import write

pytestmark = pytest.mark.slow
FEW = ("test_accuracy", "generalisation_gap", "lambda_max", "grad_evals")
EVIL = (
    "<script>window.hit = 1</script>",
    "<img src=x onerror=window.hit=1>",
    '"><svg onload=window.hit=1>',
    "</script><script>window.hit=1</script>",
    "<a href=\"javascript:window.hit=1\" onclick='window.hit=1'>x</a>{{ 7*7 }}",
)


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    return write(small, tmp_path_factory.mktemp("report"))


def to_the_scene(page):
    page.locator("#surfaces").scroll_into_view_if_needed()
    page.wait_for_selector("#surfaces .scene canvas")


def unfold(page):
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    page.wait_for_function("[...document.querySelectorAll('.panel')].every(p => p.firstChild)")


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_and_nothing_is_asked_for(opened, folder, width, scheme):
    page = opened(folder, viewport={"width": width, "height": 900}, color_scheme=scheme)
    to_the_scene(page)
    unfold(page)
    panels = page.locator(".panel")
    assert panels.count() > 4
    for i in range(panels.count()):
        assert panels.nth(i).locator("svg path").count() > 2
    assert page.errors == []
    outside = [u for u in page.requests if not u.startswith(("data:", "blob:"))]
    assert outside == [folder.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def heights(page):
    return page.evaluate(
        "document.querySelector('.scene')._fullData.filter(t => t.type === 'surface')"
        ".map(t => [t.meta.method, t.meta.split, t.meta.quantity, t.scene])"
    )


def test_the_controls_of_the_scene(opened, folder):
    page = opened(folder)
    to_the_scene(page)
    assert heights(page) == [["msam", "training", "loss", "scene"]]
    page.locator("[name=method]").select_option("sgd")
    page.locator("[name=split]").select_option("test")
    page.locator("[name=quantity]").select_option("accuracy")
    assert heights(page) == [["sgd", "test", "accuracy", "scene"]]
    log = page.get_by_role("checkbox", name="logarithmic")
    assert log.is_disabled()
    assert "SGD, test: accuracy (%) from" in page.get_by_role("status").inner_text()
    page.locator("[name=quantity]").select_option("loss")
    axis = "document.querySelector('.scene')._fullLayout.scene.zaxis.type"
    assert page.evaluate(axis) == "log"
    log.uncheck()
    assert page.evaluate(axis) == "linear"
    assert page.errors == []


def test_side_by_side_with_one_camera(opened, folder):
    page = opened(folder)
    to_the_scene(page)
    page.get_by_label("all side by side").check()
    assert [row[3] for row in heights(page)] == ["scene", "scene2", "scene3"]
    scenes = "['scene', 'scene2', 'scene3']"
    eyes = f"{scenes}.map(k => document.querySelector('.scene').layout[k].camera.eye.x)"
    before = page.evaluate(eyes)
    page.get_by_role("slider", name="Turn").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"before => {eyes}.every((x, i) => x !== before[i])", arg=before)
    page.keyboard.press("ArrowRight")
    page.evaluate(  # while the scenes still turn: the later wish must not be lost
        "Plotly.relayout(document.querySelector('.scene'),"
        " {'scene2.camera': {eye: {x: 3, y: 1, z: 1}}})"
    )
    page.wait_for_function(f"() => {eyes}.every(x => x === 3)")
    assert page.errors == []


def test_pointing_tells_method_and_value_and_brings_the_curve_forward(opened, folder, small):
    page = opened(folder, viewport={"width": 1440, "height": 900})
    panel = page.locator("#spectrum .panel")
    panel.scroll_into_view_if_needed()
    box = panel.locator("g[data-m=sgd] .mark").last.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#tip:not([hidden])")
    assert page.locator("#tip").inner_text().startswith("SGD: ")
    group = panel.locator("g[data-m=msam]")
    assert "other" in group.get_attribute("class") or "on" in group.get_attribute("class")
    box = group.locator(".mark").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("document.querySelector('#tip').textContent.startsWith('mSAM: ')")
    assert group.get_attribute("class").startswith("on")
    values = [f"{v:.4g}" for v in small.cells["msam", 0]["eigenvalues"].values]
    values += [f"{v:.4g}" for k in (1, 2) for v in small.cells["msam", k]["eigenvalues"].values]
    told = page.locator("#tip").inner_text().removeprefix("mSAM: ").replace("−", "-")
    assert told in values
    page.mouse.move(5, 5)
    page.wait_for_selector("#tip", state="hidden")


def test_rows_tell_their_value_and_long_names_keep_their_end(opened, small, tmp_path):
    long = "encoder.block.11.attention.self.query"
    record = DisplacementRecord(
        parameters=np.array([f"{long}.weight", "head.weight"]), elements=np.array([6, 4]),
        distance=np.array([1.0, 3.0]), start_norm=np.array([8.0, 2.0]),
        frozen=np.zeros(2, dtype=bool), drawn=np.array([False, True]),
    )  # fmt: skip
    cells = {key: {"displacement": record} for key in small.cells}
    folder = write(dataclasses.replace(small, cells=cells), tmp_path)
    page = opened(folder, viewport={"width": 390, "height": 900})
    panel = page.locator("#displacement .panel").first
    panel.scroll_into_view_if_needed()
    label = panel.locator("svg > text").filter(has_text="self.query")
    assert label.evaluate("t => t.firstChild.data").startswith("…")
    assert label.locator("title").evaluate("t => t.textContent") == long
    assert label.evaluate("t => t.getBBox().x") >= 0
    box = panel.locator("g[data-m=sgd] .mark").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#tip:not([hidden])")
    assert page.locator("#tip").inner_text().endswith(f", {long}: 0.125")
    assert page.errors == []


def test_a_method_is_chosen_for_all_figures_and_the_others_can_be_hidden(opened, folder):
    page = opened(folder)
    noise = page.locator("#noise")
    noise.get_by_role("button", name="SAM", exact=True).click()
    page.mouse.move(5, 5)
    for figure in ("#noise", "#spectrum", "#curves"):
        chart = page.locator(f"{figure} .panel").first
        assert chart.locator("g.on").get_attribute("data-m") == "sam"
        assert chart.locator("g.base").get_attribute("data-m") == "sgd"
        chosen = page.locator(f"{figure} .chips [aria-pressed=true]")
        assert chosen.all_inner_texts() == ["SAM"]
    other = noise.locator(".panel").first.locator("g[data-m=msam]")
    assert other.is_visible()
    noise.get_by_label("the others").uncheck()
    assert not other.is_visible()


def test_the_theme_is_chosen_by_a_button(opened, folder):
    page = opened(folder, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="theme").click()
    assert page.evaluate(paper) == "rgb(255, 255, 255)" != dark
    page.get_by_role("button", name="theme").click()
    assert page.evaluate(paper) == dark


def test_a_link_leads_to_a_place_also_where_it_is_folded(opened, folder):
    page = opened(folder, viewport={"width": 390, "height": 844})
    page.get_by_text("Sections").click()
    page.locator(".menu").get_by_role("link", name="All numbers").click()
    assert page.locator("#table table").first.is_visible()
    assert not page.locator(".menu nav").is_visible()


def test_a_table_is_sorted_with_the_keyboard(opened, folder, small):
    page = opened(folder)
    unfold(page)
    button = page.locator("#table table").first.get_by_role("button", name="λ max of the Hessian")
    first = page.locator("#table table").first.locator("tbody th")
    i = list(small.comparison.metrics).index("lambda_max")
    means = dict(zip(("SGD", "SAM", "mSAM"), small.comparison.mean[i], strict=True))
    for order, reverse in (("ascending", False), ("descending", True)):
        button.focus()
        page.keyboard.press("Enter")
        found = [words.split()[0] for words in first.all_inner_texts()]
        assert found == sorted(means, key=means.get, reverse=reverse)
        assert page.locator(f"#table th[aria-sort={order}]").count() == 1
    assert page.locator("#table th[aria-sort]").count() == 1


def test_on_paper_every_chart(opened, folder):
    page = opened(folder)
    to_the_scene(page)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main details:not([open])").count() == 0
    assert page.locator(".chips:visible, .scene:visible, nav:visible").count() == 0
    assert page.locator(".panel svg:visible").count() == page.locator(".panel").count()
    assert page.pdf(format="A4")[:4] == b"%PDF"


def test_without_scripts_the_answer_and_the_numbers(opened, folder):
    page = opened(folder, java_script_enabled=False)
    assert page.locator("h1").is_visible() and page.locator("#dots .dot").count() > 3
    assert page.locator("#table").count() == 1
    assert "in the folder “figures”" in page.locator("noscript").first.inner_text()


def test_every_control_has_a_name_and_can_be_reached(opened, folder):
    page = opened(folder)
    to_the_scene(page)
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, select, input, a[href]')]"
        ".filter(e => e.closest('.js-plotly-plot') === null && e.tabIndex >= 0)"
        ".filter(e => !(e.labels?.[0]?.textContent || e.textContent || e.title).trim()).length"
    )
    assert nameless == 0


@pytest.mark.parametrize("evil", EVIL)
def test_names_run_nothing(opened, make_contents, tmp_path, evil):
    """In class, run, method and task names, notes, settings and the command: shown as text."""
    contents = make_contents(("sgd", evil), 2, (), size=5, task=evil, metrics=FEW)
    contents = dataclasses.replace(
        contents, notes=(evil,), settings={evil: evil}, environment={evil: evil}, command=evil
    )
    page = opened(write(contents, tmp_path))
    to_the_scene(page)
    page.get_by_label("all side by side").check()
    for link in page.locator("main a, svg a").all():
        assert not (link.get_attribute("href") or "").startswith("javascript")
    page.mouse.move(300, 300)
    assert page.evaluate("window.hit") is None
    assert page.errors == []
    assert evil in page.locator("h1").inner_text()
    assert evil in page.locator("#reproduce pre").inner_text()
    drawn = page.locator("#spectrum .panel text").all_text_contents()
    assert any(evil in words for words in drawn)
    outside = [u for u in page.requests if not u.startswith(("data:", "blob:", "file:"))]
    assert outside == []
