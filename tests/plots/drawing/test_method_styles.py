"""One look per method: told apart by everybody, the same everywhere."""

import itertools
import re

import matplotlib
import numpy as np
import pytest

from landscape.methods import NEWER, PAPERS
from landscape.plots import comparison, curves
from landscape.plots.drawing.method_styles import (
    MARKERS,
    METHOD_STYLES,
    OTHERS,
    distinct_styles,
    style_of,
)
from landscape.report.template import read

# Machado, Oliveira and Fernandes 2009: full protanopia, deuteranopia, tritanopia, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                        [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                        [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                        [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def linear(colour):
    c = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Ottosson's OKLab of linear RGB."""
    lms = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                    [0.2119034982, 0.6806995451, 0.1073969566],
                    [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
    lab = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                    [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
    return lab @ np.cbrt(lms @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("page", ["colour", "dark"])
def test_fourteen_colours_stay_apart(vision, page):
    seen = [oklab(VISIONS[vision] @ linear(getattr(one, page))) for one in METHOD_STYLES.values()]
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(distances) > 0.085


@pytest.mark.parametrize("page", [0, 1])
def test_further_colours_stay_apart_from_all(page):
    named = [(one.colour, one.dark)[page] for one in METHOD_STYLES.values()]
    seen = [oklab(linear(colour)) for colour in (*named, *(other[page] for other in OTHERS))]
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(distances) > 0.1


def test_markers_differ_too():
    markers = [one.marker for one in METHOD_STYLES.values()]
    assert len(set(markers)) == len(METHOD_STYLES) == 14
    assert not set(markers[:9]) & set(MARKERS)  # the five later ones share theirs, not a colour
    drawn = read("charts.js")
    marks = drawn[drawn.index("const MARKS") : drawn.index("};", drawn.index("const MARKS"))]
    known = set(re.findall(r'[ {]"?([^\s":]+)"?: "M', marks))
    assert known >= {*markers, *MARKERS}


def test_names_of_the_methods():
    labels = [one.label for one in METHOD_STYLES.values()]
    nine = ["SGD", "AdamW", "SAM", "ASAM", "Lookbehind", "LETS", "mSAM", "FAM", "AACE"]
    assert labels == [*nine, "F-SAM", "GSAM", "LookSAM", "WSAM", "SAM-ON"]
    assert set(METHOD_STYLES) == {*PAPERS, *NEWER}


def test_a_further_method_gets_a_look_from_its_name():
    """crc32("mine") % 10 == 1: no dependence on the process, as hash() would have."""
    assert style_of("mine").colour == OTHERS[1][0]
    assert style_of("lets+asam").label == "LETS + ASAM"
    assert style_of("lets+sam@as-wide").label == "LETS + SAM (as wide)"
    assert style_of("lets+asam").colour not in {one.colour for one in METHOD_STYLES.values()}


def test_names_that_stand_together_do_not_look_alike():
    names = [f"sam@{letter}" for letter in "abcdefghij"]
    alone = {style_of(name).colour for name in names}
    assert len(alone) < len(names)  # some of them collide
    with distinct_styles(names):
        first = {name: style_of(name) for name in names}
        assert len({one.colour for one in first.values()}) == len(names)
        with distinct_styles(["zzz", *names[5:]]):  # a figure of some, within a study of all
            assert {name: style_of(name) for name in names} == first
        assert style_of("sam") == METHOD_STYLES["sam"]
    with distinct_styles(reversed(names)):
        assert {name: style_of(name) for name in names} == first
    assert {style_of(name).colour for name in names} == alone


def test_more_names_than_colours_differ_in_their_markers():
    names = [f"mine@{i}" for i in range(40)]
    with distinct_styles(names):
        assert len({(style_of(name).colour, style_of(name).marker) for name in names}) == 40


def test_a_figure_keeps_its_methods_apart(curves_record, comparison_record):
    """Both names lead to one colour when alone; rows of a study are told apart by their names."""
    names = ["sam@a", "sam@c"]
    assert style_of(names[0]).colour == style_of(names[1]).colour
    figure = curves(dict.fromkeys(names, curves_record()), ["train_loss"])
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == 2
    comparison_record.methods[:2] = "m1", "mc"
    figure = comparison(comparison_record, ["lambda_max"])
    assert len({label.get_text() for label in figure.axes[0].get_yticklabels()}) == 4
