"""The page: complete, offline, safe, small, the same each time."""

import base64
import dataclasses
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from landscape.plots.drawing.method_styles import distinct_styles, style_of
from landscape.report import render
from landscape.report.figures import drawable, figures
from landscape.report.groups import groups

pytestmark = pytest.mark.slow  # runs the program from end to end

FEW = ("test_accuracy", "generalisation_gap", "lambda_max", "grad_evals")
LOADS = {"src", "href", "srcset", "data", "poster", "action", "xlink:href"}


class Reader(HTMLParser):
    """Tags with their attributes, text outside scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._stack = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._stack.append(tag)

    def handle_endtag(self, tag):
        while self._stack and self._stack.pop() != tag:
            pass

    def handle_data(self, data):
        if not self._stack or self._stack[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag):
        return [attributes for found, attributes in self.tags if found == tag]


def sha256(script):
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@pytest.fixture(scope="module")
def page(make_contents):
    return render(make_contents())


@pytest.fixture(scope="module")
def read(page):
    return Reader(page)


def test_nothing_is_loaded(page, read):
    targets = [v for _, a in read.tags for k, v in a.items() if k in LOADS]
    assert targets
    assert all(t.startswith(("#", "data:image/png")) for t in targets)
    assert not read.all("link") and not read.all("iframe")
    styles = " ".join(re.findall(r"<style.*?</style>", page, re.DOTALL))
    assert "@import" not in styles and "url(" not in styles


def test_size(page):
    assert len(page.encode()) < 6_000_000


def test_plotly_is_there_once_and_posts_nothing(page, read):
    assert page.count('id="plotly"') == 1 and "* plotly.js v" not in page
    packed = re.search(r'id="plotly">([^<]*)<', page)[1]
    script = gzip.decompress(base64.b64decode(packed)).decode()
    assert "* plotly.js v" in script
    assert sha256(script) in next(a["content"] for a in read.all("meta") if "http-equiv" in a)
    assert '"showSendToCloud": false' in page
    classes = [a.get("class") for a in read.all("div")]
    assert classes.count("scene") == 1
    assert classes.count("panel") == 34


def test_no_other_script_may_run_and_no_request_leave(page, read):
    policy = next(a["content"] for a in read.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy
    allowed = re.search(r"script-src ([^;]*)", policy)[1].split()
    run = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert allowed[1:] == [f"'sha256-{sha256(script)}'" for script in run] and len(run) == 4


def test_data_for_scripts_close_no_element(page):
    for data in re.findall(r"<script type=.application/json.*?>(.*?)</script>", page, re.DOTALL):
        assert "<" not in data
        json.loads(data)


def test_every_method_and_section_is_there(read):
    places = {a["id"] for _, a in read.tags if "id" in a}
    assert places >= {
        "findings", "dots", "tiles", "told", "table", "paired", "comparison", "differences",
        "curves", "spectrum", "eigenvalue_count", "density", "noise", "quantization", "pruning",
        "worst_case", "sharpness", "surface", "profile", "scatter", "correlations", "reproduce",
    }  # fmt: skip
    linked = [a["href"][1:] for a in read.all("a")]
    assert set(linked) <= places and len(set(linked)) <= 7
    assert linked == 2 * linked[: len(linked) // 2]  # at the side, and in the menu
    for label in ("SGD", "AdamW", "SAM", "ASAM", "Lookbehind", "LETS", "mSAM", "FAM", "AACE"):
        assert label in read.text
    for words in ("▲ higher, better", "▼ lower, worse", "no difference shown", "1 of 6 diverged",
                  "landscape compare --task digits", "sam.rho", "2.13.0"):  # fmt: skip
        assert words in read.text


def test_who_listens_is_told(read):
    panels = [a["data-label"] for a in read.all("div") if a.get("class") == "panel"]
    assert all(len(label) > 30 for label in panels) and len(set(panels)) == len(panels)
    assert all(len(a["aria-label"]) > 20 for a in read.all("div") if "cell" in a.get("class", ""))
    assert all(len(a["alt"]) > 20 for a in read.all("img"))
    assert all(a.get("scope") in ("col", "row") for a in read.all("th"))
    assert read.all("html")[0]["lang"] == "en"


def test_ids_are_unique_and_found(page, read):
    ids = [a["id"] for _, a in read.tags if "id" in a and a["id"] != "scene"]
    glyphs = [i for i in ids if "DejaVuSans" in i]
    rest = [i for i in ids if "DejaVuSans" not in i]
    assert len(rest) == len(set(rest))
    used = set(re.findall(r'(?:url\(|href=")#([^")$]+)["\)]', page))
    assert used and used <= set(rest) | set(glyphs)


def test_colours_follow_the_theme(page):
    svg = page[page.index("<svg") : page.index("</svg>")]
    assert "fill: var(--c-1b1f24)" in svg
    assert not re.search(r"(fill|stroke): #(1b1f24|0072b2|ffffff)", svg)
    light, dark, chosen = re.findall(r":root\S* \{ (--c-1b1f24[^}]*)\}", page)[:3]
    assert dark == chosen
    assert "--c-0072b2: #0072B2" in light and "--c-0072b2: #5996D9" in dark


def test_two_names_of_ones_own_keep_their_colours_apart(make_contents):
    """Alone both lead to one colour; table, chips and charts agree on who has which."""
    names = ("sgd", "sam@a", "sam@c")
    assert style_of(names[1]).colour == style_of(names[2]).colour
    contents = make_contents(names, 2, (), size=5, metrics=FEW)
    cells = {key: {"noise": records["noise"]} for key, records in contents.cells.items()}
    text = render(dataclasses.replace(contents, cells=cells))
    with distinct_styles(names):
        colours = [style_of(name).colour for name in names]
    assert len(set(colours)) == 3
    for colour in colours:
        assert f"background: var(--c-{colour[1:].lower()})" in text
        assert f'"c": "{colour.lower()}"' in text


def test_names_are_text_not_markup(make_contents):
    evil = "<script>alert(1)</script>"
    contents = make_contents(
        methods=("sgd", evil), seeds=2, diverged=(), size=5, task=evil, metrics=FEW
    )
    contents = dataclasses.replace(contents, notes=(evil,), settings={evil: evil})
    surfaces = {m: {"surface": contents.cells[m, 0]["surface"]} for m in ("sgd", evil)}
    contents = dataclasses.replace(contents, cells={(m, 0): s for m, s in surfaces.items()})
    page = render(contents)
    assert "alert(1)" in page
    assert evil not in page
    assert "<script>alert" not in page.lower()


def test_one_seed_says_so(make_contents):
    contents = make_contents(("sgd", "sam"), 1, (), size=5, metrics=FEW)
    read = Reader(render(dataclasses.replace(contents, cells={})))
    assert read.text.count("One seed: no interval, no verdict.") >= 2
    assert "▲" not in read.text and "no difference shown" not in read.text
    assert not {"differences", "paired"} & {a.get("id") for _, a in read.tags}


def test_all_diverged_is_still_a_page(make_contents):
    every = [(method, seed) for method in ("sgd", "sam") for seed in range(2)]
    contents = make_contents(methods=("sgd", "sam"), seeds=2, diverged=every, size=5)
    read = Reader(render(contents))
    assert "2 of 2 diverged" in read.text
    places = {a["id"] for _, a in read.tags if "id" in a}
    assert places >= {"findings", "table", "curves", "reproduce"}
    assert not {"dots", "tiles", "spectrum"} & places


def test_without_records_of_cells(small):
    silent = dataclasses.replace(small.comparison, tau=np.full_like(small.comparison.tau, np.nan))
    page = render(dataclasses.replace(small, comparison=silent, cells={}))
    assert "plotly" not in page.split("</style>")[1].split("<script>")[0]
    assert len(page) < 500_000


def test_surfaces_without_a_finite_loss_are_left_out(small):
    found = small.cells["sam", 0]["surface"]
    nothing = dataclasses.replace(found, loss=np.full_like(found.loss, np.inf))
    contents = dataclasses.replace(small, cells={("sam", 0): {"surface": nothing}})
    assert "surface" not in {figure.name for figure in figures(contents)}


def test_planes_along_other_directions_have_figures_of_their_own(small):
    """Folded beside the usual ones; a record along other directions leaves no figure undrawn."""
    found = small.cells["sam", 0]["surface"]
    way = dataclasses.replace(found, directions="trajectory")
    cells = {
        key: records | ({"surface-trajectory": way} if "surface" in records else {})
        for key, records in small.cells.items()
    }
    drawn = figures(dataclasses.replace(small, cells=cells))
    assert {"surface", "surface-trajectory"} <= {figure.name for figure in drawn}
    (surfaces,) = (part for part in groups(drawn) if part.id == "rise")
    assert "surface-trajectory" in [figure.name for figure in surfaces.folded]
    mixed = {**small.cells, ("sam", 0): {**small.cells["sam", 0], "surface": way}}
    kept = drawable(dataclasses.replace(small, cells=mixed))
    assert len({records[0].directions for records in kept.values()}) == 1


def test_study_and_comparison_must_agree(small, make_contents):
    other = make_contents(methods=("sgd", "fam"), seeds=2, diverged=(), size=5)
    with pytest.raises(ValueError, match=r"`comparison` must have the methods of `study`"):
        dataclasses.replace(small, comparison=other.comparison)
