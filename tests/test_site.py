"""The gallery and the pages beside the methods' cards: headers, defaults, the site."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from landscape.measures import MEASURES
from landscape.methods import METHODS
from landscape.plots import PLOTS

ROOT = Path(__file__).parents[1]
PAGES = [
    page
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if not {"_build", "gallery"} & set(page.relative_to(ROOT / "docs").parts[:1])
]
EXAMPLES = sorted((ROOT / "gallery").glob("*.py"))
CARDS = {p.stem: p.read_text() for p in (ROOT / "docs" / "measures").glob("*.md")}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_compiles_and_has_a_title(path):
    """As sphinx-gallery asks: a docstring with an underlined title and a first paragraph."""
    text = path.read_text()
    compile(text, path.name, "exec", dont_inherit=True)
    title, line, blank, *rest = ast.get_docstring(ast.parse(text)).splitlines()
    assert set(line) == {"="} and len(line) == len(title) and not blank and rest
    assert path.stem.startswith("plot_") and "\n# %%\n" in text


def test_the_order_of_the_gallery_lists_every_example_once():
    tree = ast.parse((ROOT / "docs" / "example_pages.py").read_text())
    (order,) = (n.value for n in tree.body if isinstance(n, ast.Assign))
    assert sorted(f"plot_{name}" for name in ast.literal_eval(order)) == [p.stem for p in EXAMPLES]


def test_the_gallery_index_shows_every_example():
    links = re.findall(r"\]\((plot_\w+)\.py\)", (ROOT / "gallery" / "README.md").read_text())
    assert sorted(links) == [p.stem for p in EXAMPLES]


def test_every_measure_has_a_card():
    assert set(MEASURES) == set(CARDS) - {"README"}
    assert re.findall(r"^\| `(\w+)`", CARDS["README"], re.MULTILINE) == list(MEASURES)


@pytest.mark.parametrize("name", MEASURES)
def test_options_and_defaults_of_a_card_are_those_of_the_code(name):
    told = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", CARDS[name], re.MULTILINE)
    assert told == [(f.name, repr(f.default)) for f in fields(MEASURES[name])]
    for part in ("Question", "How", "Error", "Traps", "Source"):
        assert f"**{part}" in CARDS[name]


@pytest.mark.parametrize(
    ("page", "classes"),
    [
        ("methods", [f"methods.{method.__name__}" for method in METHODS.values()]),
        ("measures", [f"measures.{measure.__name__}" for measure in MEASURES.values()]),
        ("plots", [f"plots.{name}" for name in PLOTS]),
    ],
)
def test_the_reference_lists_everything(page, classes):
    text = (ROOT / "docs" / "reference" / f"{page}.md").read_text()
    listed = re.findall(rf"^\.\. auto\w+:: landscape\.({page}\.\w+)$", text, re.MULTILINE)
    assert set(classes) <= set(listed)


def test_no_link_of_the_site_leads_out_of_it(monkeypatch):
    """Links to tables of benchmarks, to studies and settings are names of files there."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    adapt = importlib.import_module("page_links").to_their_pages
    leading_out = {}
    for page in PAGES:
        source = [page.read_text()]
        adapt(None, str(page.relative_to(ROOT / "docs").with_suffix("")), source)
        links = re.findall(r"\]\((\.\./[^)\s#]*)", source[0])
        outside = [link for link in links if not _inside(page.parent / link)]
        if outside:
            leading_out[page.name] = outside
    assert not leading_out


def _inside(path: Path) -> bool:
    return path.resolve().is_relative_to(ROOT / "docs")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, with one example run."""
    pytest.importorskip("sphinx_gallery")
    folder = tmp_path_factory.mktemp("site")
    for name in ("docs", "gallery"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("_build", "gallery", "images")
        )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
    only = ["-D", "sphinx_gallery_conf.filename_pattern=plot_spectrum"]
    done = subprocess.run(
        [*command, *only, "docs", "html"],
        cwd=folder, env={**os.environ, "MPLBACKEND": "Agg"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(site):
    assert (site / "gallery" / "plot_first_look.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("index", "gallery/index.html"),
        ("concepts/reparameterisation", "../gallery/plot_reparameterisation.html"),
        ("how-to/add-a-method", "../gallery/plot_new_method.html"),
    ],
)
def test_links_to_examples_lead_to_their_pages(site, page, link):
    (main,) = re.findall(r"<article.*</article>", (site / f"{page}.html").read_text(), re.DOTALL)
    assert f'href="{link}"' in main


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize(
    "name",
    ["index", "tour", "gallery/index", "gallery/plot_spectrum", "concepts/slices", "methods/sam"],
)
def test_a_page_of_the_site_in_a_browser(opened, site, name, width, scheme):
    """Everything is drawn, nothing is asked of the network, nothing reaches over the edge."""
    page = opened(
        site / f"{name}.html", viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    page.wait_for_load_state("load")
    for image in page.locator("img:visible").all():
        image.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.errors == []
    assert [u for u in page.requests if not u.startswith(("file:", "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").first.inner_text()


@pytest.mark.slow
def test_the_search_of_the_site_finds_pages(opened, site):
    """Also where the site is opened as a file, without an error."""
    page = opened(site / "index.html", viewport={"width": 1440, "height": 900})
    page.fill(".sidebar-search", "barrier")
    page.press(".sidebar-search", "Enter")
    page.wait_for_function("document.querySelectorAll('#search-results li').length > 3")
    assert page.locator("#search-results a[href='measures/path.html']").count()
    assert page.errors == []
