"""Forest plot of claims: the gain of each with its interval, in units of the margin."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from landscape.plots.drawing.forest_panel import lay_out, legend, mark
from landscape.plots.drawing.style import (
    GREY,
    HIGHER,
    LOWER,
    NOT_SHOWN,
    Sheet,
    sheet,
    styled,
    text,
)
from landscape.statistics.claim_verdict import EXPLAINED, FAILS, HOLDS, UNDECIDED

Row = Mapping[str, Any]  # of claims.json
Amounts = Mapping[str, float | None]  # of a gain: mean, low, high
COLOURS = {HOLDS: LOWER, EXPLAINED: LOWER, FAILS: HIGHER, UNDECIDED: NOT_SHOWN}
HOLLOW = (EXPLAINED, UNDECIDED)
SHORT = {EXPLAINED: "explained by a control"}  # beside the panel, which long words would narrow
REACH = 6.0  # margins to either side; what lies beyond has an arrow
ROW = 0.2  # inches


@styled
def forest(rows: Sequence[Row], ax: Axes | None = None) -> Figure:
    """Gain of each claim in each study with its 95 % interval, in margins, controls below it.

    rows: of the same claim one after the other, as in claims.json, those that were measured.
    A filled mark: it holds, in blue, or does not, in orange. Hollow: a control explains it, in
    blue, or it is not decided, in grey.

    Raises ValueError where nothing was measured.
    """
    rows = [row for row in rows if row["gain"] is not None]
    if not rows:
        raise ValueError("No claim was measured: run landscape claims first.")
    height = ROW * sum(len(row["controls"]) + 1 for row in rows)
    claims = list(dict.fromkeys(row["name"] for row in rows))
    page = sheet(ax, 1, columns=1, height=height + ROW * len(claims) + 0.9)
    panel, y = page.axes[0], 0.0
    ticks: list[tuple[float, str, str]] = []
    for name in claims:
        tests = [row for row in rows if row["name"] == name]
        _title(page, y, tests[0]["says"])
        y += 1.0
        for row in tests:
            said = SHORT.get(row["verdict"], row["verdict"])
            ticks.append((y, text(row["words"]), text(f"{row['amount']}  {said}")))
            _mark(panel, y, row, row["gain"], row["verdict"])
            y += 1.0
            for rival, gain in row["controls"].items():
                ticks.append((y, text(f"against {row['labels'][rival]}"), ""))
                _control(panel, y, row, gain)
                y += 1.0
    lay_out(
        panel, ticks, y - 0.5, reach=REACH, negligible=1.0,
        label="gain in favour of the claim, in margins",
    )  # fmt: skip
    legend(
        page, _marks(),
        "bars: 95 % t interval, paired over seeds · grey band: a gain that does not matter",
    )  # fmt: skip
    page.figure.set_label("gain of the claimed method over its rival, in margins")
    return page.figure


def _title(page: Sheet, y: float, says: str) -> None:
    """A claim above its rows, from the figure's left edge, or the panel's on axes of a caller."""
    panel = page.axes[0]
    left, across = (0.005, page.figure.transFigure) if page.own else (0.0, panel.transAxes)
    panel.text(
        left, y, text(says), va="center", fontsize=7.5, fontweight="bold", zorder=3,
        transform=blended_transform_factory(across, panel.transData), in_layout=False,
        bbox={"facecolor": panel.get_facecolor(), "linewidth": 0, "pad": 0.8},
    )  # fmt: skip


def _mark(panel: Axes, y: float, row: Row, gain: Amounts, verdict: str) -> None:
    colour = COLOURS.get(verdict, NOT_SHOWN)
    face = panel.get_facecolor() if verdict in HOLLOW else colour
    _interval(panel, y, row, gain, colour, 1.3)
    mean = _in_margins(row, gain, "mean")
    if abs(mean) < REACH:
        panel.plot(mean, y, "o", color=colour, markerfacecolor=face, markersize=4.5, zorder=3)


def _control(panel: Axes, y: float, row: Row, gain: Amounts) -> None:
    _interval(panel, y, row, gain, GREY, 0.8)
    mean = _in_margins(row, gain, "mean")
    if abs(mean) < REACH:
        panel.plot(mean, y, "D", color=GREY, markerfacecolor=panel.get_facecolor(), markersize=3)


def _interval(panel: Axes, y: float, row: Row, gain: Amounts, colour: str, width: float) -> None:
    low, high = _in_margins(row, gain, "low"), _in_margins(row, gain, "high")
    if not low <= high:  # not known
        return
    start, end = (max(-REACH, min(REACH, place)) for place in (low, high))
    panel.hlines(y, start, end, color=colour, linewidth=width, zorder=2)
    for beyond, place, arrow in ((low < -REACH, -REACH, "<"), (high > REACH, REACH, ">")):
        if beyond:
            panel.plot(place, y, arrow, color=colour, markersize=4, clip_on=False)


def _in_margins(row: Row, gain: Amounts, which: str) -> float:
    """A number of a gain in units of the margin; NaN where claims.json has null."""
    value = gain[which]
    return math.nan if value is None else value / row["margin"]


def _marks() -> list[Line2D]:
    return [
        mark(HOLDS, LOWER), mark("holds, but a control explains it", LOWER, hollow=True),
        mark(FAILS, HIGHER), mark(UNDECIDED, NOT_SHOWN, hollow=True),
        mark("the same against a control", GREY, "D", hollow=True),
    ]  # fmt: skip
