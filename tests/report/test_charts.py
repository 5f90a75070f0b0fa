"""Charts hold what the figures drew, at its place."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from landscape import plots
from landscape.plots.drawing.style import drawing_of, even_columns
from landscape.report.charts import CLOSE, _reduced, chart, plain
from landscape.report.figures import TITLES, figures
from landscape.report.groups import FOLDED, GROUPS


def drawn(scale="linear", x=(0.0, 1.0, 2.0, 4.0), y=(1.0, 10.0, 100.0, 1000.0), **style):
    figure = Figure()
    ax = figure.add_subplot()
    with drawing_of(ax, "sam"):
        ax.plot(x, y, marker="^", **style)
        ax.fill_between(x, np.multiply(y, 0.5), np.multiply(y, 2.0))
    ax.set(xlim=(0, 4), ylim=(1, 1000), yscale=scale, xlabel="x", ylabel="y")
    (panel,) = chart(figure)
    return panel


def marks(panel, kind):
    return [mark for mark in panel["marks"] if mark["k"] == kind and mark["m"] == "sam"]


@pytest.mark.parametrize(
    ("scale", "heights"), [("linear", [0, 9, 99, 1000]), ("log", [0, 333, 667, 1000])]
)
def test_places_are_thousandths_of_the_panel_under_any_scale(scale, heights):
    panel = drawn(scale)
    (points,) = marks(panel, "points")
    assert points["p"][0::2] == [0, 250, 500, 1000] and points["p"][1::2] == heights
    assert (points["s"], points["hollow"]) == ("^", False)
    ticks = {text: at for at, text in panel["yt"]}
    text, at = ("10²", 667) if scale == "log" else ("200", 199)
    assert ticks[text] == at
    assert (panel["x"], panel["y"]) == ("x", "y")


def test_values_go_with_their_band():
    (points,) = marks(drawn("log"), "points")
    assert points["v"] == [[0.0, 1.0, 0.5, 2.0], [1.0, 10.0, 5.0, 20.0], [2.0, 100.0, 50.0, 200.0],
                           [4.0, 1000.0, 500.0, 2000.0]]  # fmt: skip


def test_a_gap_stays_a_gap():
    panel = drawn(x=(0.0, 1.0, 2.0, 3.0, 4.0), y=(1.0, 10.0, np.nan, 100.0, 100.0))
    (line,) = marks(panel, "line")
    assert len(line["p"]) == 2 and len(marks(panel, "points")[0]["v"]) == 4


def test_a_curve_loses_no_more_than_can_be_seen():
    x = np.linspace(0, 1000, 4001)
    curve = np.column_stack([x, 500 + 400 * np.sin(x / 60) * np.exp(-x / 900)])
    fewer = _reduced(curve)
    assert 20 < len(fewer) < 400
    away = np.abs(np.interp(x, *fewer.T) - curve[:, 1]) / np.hypot(1, np.gradient(curve[:, 1], x))
    assert away.max() < 1.3 * CLOSE
    assert (fewer[0] == curve[0]).all() and (fewer[-1] == curve[-1]).all()


def test_words_have_no_markup():
    assert plain(r"$\mathdefault{10^{−3}}$") == "10⁻³"
    assert plain(r"$\mathdefault{2\times10^{4}}$") == "2×10⁴"
    assert plain(r"costs \$5") == "costs $5"


@pytest.mark.slow
def test_every_figure_of_a_page_can_be_charted(small):
    found = {}
    for figure in figures(small):
        if figure.charted is not None:
            found[figure.name] = chart(figure.charted)
    assert len(found) >= 12
    for name, panels in found.items():
        json.dumps(panels, allow_nan=False)
        assert panels and all(p["x"] or p["title"] or p["y"] for p in panels), name
        assert all(p["xt"] and p["yt"] for p in panels), name
        if name not in ("comparison", "differences"):
            named = {mark["m"] for panel in panels for mark in panel["marks"] if mark["m"]}
            assert named == {"sgd", "sam", "msam"}, name


def test_every_figure_has_its_place_on_the_page():
    placed = [name for _, _, names in GROUPS for name in names]
    assert len(placed) == len(set(placed)) and set(placed) == set(TITLES) - {"rise_area"}
    assert set(FOLDED) <= set(placed) and len(GROUPS) <= 6


def test_points_of_minima_say_which_seed(small):
    (panel, *_) = chart(plots.scatter(small.study, small.comparison))
    points = next(mark for mark in panel["marks"] if mark["m"] == "sam")
    assert points["n"] == ["seed 0", "seed 1", "seed 2"]
    values = small.study.values("lambda_max", "sam")
    np.testing.assert_allclose([x for x, _ in points["v"]], values, rtol=1e-3)


def test_no_panel_stands_alone():
    for panels in range(2, 25):
        columns = even_columns(panels)
        assert columns <= 4 and (panels % columns != 1 or panels in (13, 25)), panels
