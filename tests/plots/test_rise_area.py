"""Panels of the rise around minima: one scale, one contour, the area of the record."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.contour import ContourSet

from landscape.plots import rise_area
from landscape.plots.drawing import rise_panel
from landscape.records.contours import polygon_area


@pytest.fixture
def records(made_up):
    return made_up["rise_area"]


def panels(figure):
    return [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and ax.get_visible()]


def rings(ax, colour=rise_panel.CONTOUR):
    return [line.get_xydata() for line in ax.get_lines() if line.get_color() == colour]


def test_all_panels_share_limits_and_levels(records):
    """Levels 0, a quarter of the rise and then doubled to 32 rises."""
    for ax in panels(rise_area(records)):
        (filled,) = (c for c in ax.get_children() if isinstance(c, ContourSet))
        np.testing.assert_allclose(
            filled.levels, [0, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2], rtol=1e-12
        )
        half = ax.get_xlim()[1]
        assert ax.get_xlim() == ax.get_ylim() == (-half, half)
        assert half == pytest.approx(1.3 * np.sqrt(0.2 / 0.96), rel=1e-2)  # λ₂ of LETS


def test_one_contour_per_panel_and_its_area_is_that_of_the_record(records):
    figure = rise_area({method: found[:1] for method, found in records.items()})
    for ax, (record, *_) in zip(panels(figure), records.values(), strict=True):
        (ring,) = rings(ax)
        assert polygon_area(ring) == pytest.approx(record.area, rel=0.01)
        printed = float(ax.get_title(loc="right"))
        assert printed == pytest.approx(record.area, rel=0.01)
        x, y = ring.T
        curvatures = record.eigenvalues
        np.testing.assert_allclose(
            (curvatures[0] * x**2 + curvatures[1] * y**2) / 2, 0.1, rtol=1e-2
        )


def test_the_number_is_the_mean_of_all_seeds(records):
    for ax, found in zip(panels(rise_area(records)), records.values(), strict=True):
        mean = np.mean([record.area for record in found])
        assert float(ax.get_title(loc="right")) == pytest.approx(mean, rel=0.01)


def test_the_baseline_is_dashed_in_each_other_panel(records):
    dashed = {
        ax.get_title(loc="left"): [x for x in ax.get_lines() if x.get_linestyle() == "--"]
        for ax in panels(rise_area(records))
    }
    assert {name: len(lines) for name, lines in dashed.items()} == {"SGD": 0, "SAM": 1, "LETS": 1}
    base = records["sgd"][0]
    assert polygon_area(dashed["SAM"][0].get_xydata()) == pytest.approx(base.area, rel=0.01)


def without_area(record):
    gone = np.array([0.1, np.nan, np.nan])
    return replace(record, areas=gone, area_errors=gone, no_area="the contour leaves the plane")


def test_no_area_is_a_dash_with_the_reason_never_a_number(records, words):
    gone = {**records, "sam": [without_area(record) for record in records["sam"]]}
    figure = rise_area(gone)
    ax = panels(figure)[1]
    assert ax.get_title(loc="right") == "–" and rings(ax) == []
    lacking = f"no area for {len(gone['sam'])} of {sum(map(len, gone.values()))} minima"
    assert f"{lacking}: the contour leaves the plane" in words(figure).replace("\n", " ")


def test_a_seed_without_an_area_leaves_the_mean_to_the_others(records):
    """As in the table; the panel shows a seed with a contour."""
    first, *others = records["sam"]
    (ax,) = panels(rise_area({"sam": [without_area(first), *others]}))
    mean = np.mean([record.area for record in others])
    assert float(ax.get_title(loc="right")) == pytest.approx(mean, rel=0.01)
    assert polygon_area(rings(ax)[0]) == pytest.approx(others[0].area, rel=0.01)


def test_different_rises_are_refused(records):
    other = replace(records["sam"][0], rises=np.array([0.1, 0.2, 0.4]))
    with pytest.raises(ValueError, match=r"one rise. Got 0.1 and 0.2: measure them alike"):
        rise_area({"sgd": records["sgd"], "sam": other})


def test_it_says_what_the_number_and_the_lengths_are(records, words):
    said = words(rise_area(records)).replace("\n", " ")
    for part in (
        "rise of the loss above the trained weights (+)",
        "red: 0.1 above the loss at the trained weights; dashed: SGD’s",
        "number: area inside, mean of 3 seeds",
        "plane of the two largest eigenvalues, Euclidean lengths",
        "256 training examples, batch norm: reestimated",
    ):
        assert part in said


@pytest.mark.thinned(3)
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_no_two_texts_overlap(records, count):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    names = ("sgd", "adamw", "sam", "asam", "lookbehind", "lets", "msam", "fam", "aace")
    figure = rise_area(dict.fromkeys(names[:count], records["sam"]))
    FigureCanvasAgg(figure).draw()
    boxes = [
        t.get_window_extent()
        for t in figure.findobj(Text)
        if t.get_visible() and t.get_text().strip()
    ]
    boxes = [box for box in boxes if box.width > 1]
    for i, a in enumerate(boxes):
        assert a.x0 >= 0 and a.x1 <= figure.bbox.x1 and a.y0 >= 0 and a.y1 <= figure.bbox.y1
        for b in boxes[:i]:
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            up = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across <= 1 or up <= 3


def test_drawn_heights_are_those_of_the_record(records):
    x, y, z = rise_panel.heights(records["sam"][0])
    exact = 2.0 * 0.96 * (x[:, None] ** 2 + 0.5 * y[None, :] ** 2)
    near = exact < 3.2
    np.testing.assert_allclose(z[near], exact[near], rtol=0.02, atol=2e-3)
