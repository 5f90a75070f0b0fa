"""Pages of studies and audits at three widths, light and dark: nothing cut, no text on another."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.analysis.subject import TrainTestObjective
from landscape.auditing.page import write as write_audit
from landscape.auditing.requirements import parse
from landscape.auditing.run import judge
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
    "fourteen": {"methods": (*NINE, "friendly-sam", "gsam", "looksam", "wsam", "sam-on")},
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


def readable(page, path, width):
    """Everything unfolded: nothing cut, faint, tiny or on other text, nothing asked for."""
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
    assert page.errors == []
    asked = [u for u in page.requests if not u.startswith(("data:", "blob:"))]
    assert asked == [path.as_uri()]
    return colours


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
    colours = readable(page, path, width)
    assert colours["lit"] and max(colours["lit"]) <= 2
    for kind, filled in colours["filled"]:
        assert filled in (None, kind in ("lower", "higher"))
    if contents.seeds < 2:
        assert {kind for kind, _ in colours["filled"]} <= {"no-interval", "missing"}


@pytest.fixture(scope="module", params=["alone", "beside a baseline"])
def audited(request, tmp_path_factory):
    """The page of an audit of a small classifier: most measures, kept and broken requirements."""
    new, old = classifier(seed=0), classifier(seed=1)
    asked = ["accuracy >= 0", "loss <= -1", "worst.loss@0.01 <= 99", "pruning.loss@0.5 >= 0",
             "quantization.accuracy@int8-channel >= 0", "eigenvalues.max >= 0",
             "flatness.kappa_hat >= 0"]  # fmt: skip
    about = {"checkpoint": "runs/a-rather-long-name-of-a-run/epoch_090.pt", "notes": ("A note.",)}
    if compared := request.param != "alone":
        asked += ["change.noise.accuracy@0.05 >= 0", "change.quantization.loss@int4-tensor <= 9"]
        about["baseline"] = "runs/epoch_001.pt"
    audit = judge(new, [parse(text) for text in asked], baseline=old if compared else None,
                  options={"noise": {"draws": 4}})  # fmt: skip
    folder = tmp_path_factory.mktemp("audit")
    return write_audit(audit, folder, about=about, command="landscape audit epoch_090.pt " * 4)


def classifier(seed):
    """A linear network of three classes, and sixty Gaussian points."""
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.copy_(torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)))
        model.bias.zero_()
    y = x[:, :3].argmax(1)
    objective = Objective(model, [(x, y)], lambda m, b: F.cross_entropy(m(b.x), b.y))
    return TrainTestObjective(objective, objective)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_an_audit_as_a_reader_sees_it(opened, audited, width, height, scheme):
    page = opened(audited, viewport={"width": width, "height": height}, color_scheme=scheme)
    readable(page, audited, width)
    hidden = page.evaluate(
        "[...document.querySelectorAll('table')]"
        ".filter(t => t.scrollWidth > t.closest('.scroll').clientWidth + 1)"
        ".map(t => t.closest('.scroll').ariaLabel)"
    )
    assert hidden == []
