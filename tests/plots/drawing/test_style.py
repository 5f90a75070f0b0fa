"""Settings of figures, their panels and their small print."""

from contextlib import nullcontext

import matplotlib
import pytest

from landscape.plots.drawing.style import INK, one_column, sheet, small_print, styled


def test_matplotlib_is_left_as_it_was():
    before = dict(matplotlib.rcParams)

    @styled
    def colour():
        return matplotlib.rcParams["text.color"]

    assert colour() == INK
    assert dict(matplotlib.rcParams) == before


def test_a_wrong_number_of_axes_is_refused():
    ours = sheet(None, 3, columns=2)
    assert len(ours.axes) == 3
    with pytest.raises(ValueError, match=r"`ax` must hold 2 axes, one per panel. Got 3."):
        sheet(ours.axes, 2, columns=2)


def test_small_print_breaks_between_its_parts():
    page = sheet(None, 1, columns=1)
    page.foot([], " · ".join(["a part of 40 letters that stays together"] * 4))
    assert (
        page.figure.get_supxlabel().split("\n")
        == ["a part of 40 letters that stays together · a part of 40 letters that stays together"]
        * 2
    )
    page.foot([], "five " * 60)  # one part that no line can hold
    assert max(map(len, page.figure.get_supxlabel().split("\n"))) <= 119
    page.foot([], "")
    assert small_print(page.figure) == ""


def test_a_legend_shows_what_is_drawn():
    for line, mark in ((True, True), (True, False), (False, True)):
        page = sheet(None, 1, columns=1)
        page.foot(["sgd", "sam"], "words", line=line, mark=mark)
        handle = page.figure.legends[0].legend_handles[1]
        assert (handle.get_linestyle() != "None") == line
        assert (handle.get_marker() == "^") == mark


def test_one_column_has_a_panel_a_row():
    with one_column():
        narrow = sheet(None, 3, columns=3, height=2.0)
        own = sheet(None, 4, columns=2, width=3.0)
    wide = sheet(None, 3, columns=3, height=2.0)
    assert tuple(narrow.figure.get_size_inches()) == (3.4, 6.0)
    assert tuple(wide.figure.get_size_inches()) == (7.0, 2.0)
    assert own.axes[0].get_subplotspec().get_gridspec().ncols == 2  # fits as it is


def test_a_legend_is_no_wider_than_its_figure():
    for narrow, columns in ((False, 5), (True, 3)):
        with one_column() if narrow else nullcontext():
            page = sheet(None, 1, columns=1)
        page.foot([f"method {i}" for i in range(9)], "words")
        assert page.figure.legends[0]._ncols == columns
