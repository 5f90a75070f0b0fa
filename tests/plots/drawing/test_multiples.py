"""Small multiples: a panel per method, all on the same axes, two methods in colour."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from landscape import plots
from landscape.plots.drawing.multiples import MANY, baseline_of
from landscape.plots.drawing.style import BASELINE, INK, PALE

NAMES = ("asam", "sam", "fam", "sgd", "adamw", "lets", "msam", "lookbehind", "aace")


def panels(figure):
    return [ax for ax in figure.axes if ax.get_visible()]


def curves(ax):
    return {
        a.get_gid(): a for a in ax.get_children()
        if isinstance(a, Line2D) and a.get_gid() and a.get_linestyle() == "-"
    }  # fmt: skip


@pytest.fixture
def many(made_up):
    """Name of a plot -> its figure of nine methods, from the records of few."""

    def draw(name):
        kind = plots.DRAWS[name]
        sets = list(made_up[kind].values())
        return plots.PLOTS[name]({m: sets[i % len(sets)] for i, m in enumerate(NAMES)})

    return draw


@pytest.mark.parametrize(
    ("name", "quantities"),
    [
        ("density", 1),
        ("eigenvalue_count", 1),
        *(
            pytest.param(name, 2, marks=pytest.mark.slow)
            for name in ("noise", "pruning", "curves", "sharpness", "worst_case")
        ),
    ],
)
def test_a_panel_per_method_and_quantity_with_two_in_colour(many, name, quantities):
    figure = many(name)
    drawn = panels(figure)
    others = [m for m in NAMES if m != "sgd"]
    assert len(drawn) == quantities * len(others)
    for quantity in range(quantities):
        block = drawn[quantity * len(others) : (quantity + 1) * len(others)]
        assert len({(ax.get_xlim(), ax.get_ylim()) for ax in block}) == 1
        for method, ax in zip(others, block, strict=True):
            colours = {m: to_hex(line.get_color()) for m, line in curves(ax).items()}
            assert set(colours) == set(NAMES)
            assert colours.pop(method).upper() == INK and colours.pop("sgd").upper() == BASELINE
            assert {colour.upper() for colour in colours.values()} == {PALE}
            bands = [a for a in ax.collections if isinstance(a, PolyCollection) and a.get_visible()]
            assert {band.get_gid() for band in bands} <= {method}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["noise", "density", "pruning", "curves"])
def test_no_words_overlap_and_none_is_cut(many, name):
    figure = many(name)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = words(figure, canvas.get_renderer())
    assert len(boxes) > 20
    width, height = canvas.get_width_height()
    for said, box in boxes:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, said
    for i, (said, one) in enumerate(boxes):
        for also, two in boxes[i + 1 :]:
            x = min(one.x1, two.x1) - max(one.x0, two.x0)
            y = min(one.y1, two.y1) - max(one.y0, two.y0)
            assert x <= 1 or y <= 3, (said, also)


def words(figure, renderer):
    """Every text that is drawn, with its box; tick labels outside the limits are not."""
    found = []
    for ax in panels(figure):
        texts = [ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title, *ax.texts]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-6 * (high - low)
            for tick in axis.get_major_ticks():
                inside = low - margin <= tick.get_loc() <= high + margin
                texts += [tick.label1] * int(inside)
        found += texts
    found += [t for t in (figure._supxlabel, figure._suptitle) if t is not None]
    drawn = [t for t in found if t.get_visible() and t.get_text()]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in drawn]


def test_few_methods_and_axes_of_the_caller_are_overlaid(made_up):
    records = made_up["noise"]
    few = dict(list(records.items())[:MANY])
    assert len(panels(plots.noise(few))) == 2
    figure = plots.noise({m: next(iter(records.values())) for m in NAMES})
    axes = type(figure)().subplots(1, 2)
    assert len(panels(plots.noise(few, ax=list(np.ravel(axes))))) == 2


def test_the_baseline_is_the_one_asked_for_or_sgd_or_the_first():
    assert baseline_of(["sam", "sgd"], "sam") == "sam"
    assert baseline_of(["sam", "sgd"]) == "sgd"
    assert baseline_of(["sam", "fam"], "lets") == "sam"
