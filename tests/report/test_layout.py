"""The page at three widths, light and dark: seen at once, nothing cut, no text on another."""

import re
from pathlib import Path

import pytest

from landscape.report import render

pytestmark = pytest.mark.slow
NINE = ("sgd", "adamw", "sam", "asam", "lookbehind", "lets", "msam", "fam", "aace")
STUDIES = {
    "two": {"methods": NINE[:3:2], "diverged": ()},
    "five, one seed": {"methods": NINE[:5], "seeds": 1, "diverged": ()},
    "five, a method failed": {
        "methods": NINE[:5], "diverged": tuple(("sam", seed) for seed in range(6)),
    },
    "nine": {"methods": NINE},
}  # fmt: skip
SIZES = ((1440, 900), (1024, 800), (390, 844))
SMALLEST = 11  # pixels of a letter
LOOK = Path(__file__).with_name("layout.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=STUDIES)
def written(request, make_contents, tmp_path_factory):
    """The page of a study, and its contents."""
    contents = make_contents(size=9, **STUDIES[request.param])
    path = tmp_path_factory.mktemp("layout") / "report.html"
    path.write_text(render(contents), encoding="utf-8")
    return path, contents


def luminance(colour):
    """Of "rgb(r, g, b)" up to 255, or of "color(srgb r g b)" up to 1."""
    top = 1 if "srgb" in colour else 255
    parts = [float(v) / top for v in re.findall(r"(?<=[ (,])[\d.]+", colour)[:3]]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, two):
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def look(page, question):
    return page.evaluate(f"({LOOK.strip()}).{question}()")


def overlapping(texts):
    """Pairs of words of which one lies on the other by more than 1 × 3 pixels."""
    texts = sorted(texts, key=lambda t: t["top"])
    found = []
    for i, one in enumerate(texts):
        for two in texts[i + 1 :]:
            if two["top"] > one["bottom"]:
                break
            x = min(one["right"], two["right"]) - max(one["left"], two["left"])
            y = min(one["bottom"], two["bottom"]) - max(one["top"], two["top"])
            if x > 1 and y > 3 and not (one["scrolls"] or two["scrolls"]):
                found.append((one["text"], two["text"], round(x), round(y)))
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_page_as_a_reader_sees_it(opened, written, width, height, scheme):
    path, contents = written
    page = opened(path, viewport={"width": width, "height": height}, color_scheme=scheme)
    page.evaluate("document.fonts.ready")
    places = look(page, "places")
    assert places["figure"] < 700
    assert width < 1440 or places["tiles"] is None or places["tiles"] <= 900
    assert (places["side"], places["menu"]) == (width >= 1100, width < 1100)
    assert len(set(places["links"])) <= 7 and not places["dead"]

    page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
    page.wait_for_function("[...document.querySelectorAll('.panel')].every(p => p.firstChild)")
    places = look(page, "places")
    assert (places["over"], places["wide"]) == (0, [])
    texts = look(page, "texts")
    assert len(texts) > 100
    assert overlapping(texts) == []
    cut = [
        t["text"] for t in texts if not t["scrolls"] and (t["right"] > width + 1 or t["left"] < -1)
    ]
    assert cut == []
    assert min(t["size"] for t in texts) >= SMALLEST
    faint = {(t["text"], t["colour"], t["paper"]) for t in texts
             if contrast(t["colour"], t["paper"]) < 4.5}  # fmt: skip
    assert faint == set()

    colours = look(page, "colours")
    for role in ("--low", "--high", "--base", "--ink", "--muted"):
        assert contrast(colours["roles"][role], colours["paper"]) >= 3, role
    assert colours["lit"] and max(colours["lit"]) <= 2
    for kind, filled in colours["filled"]:
        assert filled in (None, kind in ("lower", "higher"))
    if contents.seeds < 2:
        assert {kind for kind, _ in colours["filled"]} <= {"no-interval", "missing"}
    assert page.errors == []
    asked = [u for u in page.requests if not u.startswith(("data:", "blob:"))]
    assert asked == [path.as_uri()]
