"""The page, the documentation's table and the figure show what the committed outcome says."""

import importlib.util
import json
from pathlib import Path

import pytest

from landscape.claims import page, wording
from landscape.claims.judgement import CHECK_FAILS
from landscape.plots.claims.forest import REACH, forest
from landscape.statistics.claim_verdict import (
    EXPLAINED,
    UNDECIDED,
    VERDICTS,
    Evidence,
    gain_of,
    verdict,
)

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "benchmarks" / "results" / "claims.json"


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


def test_verdicts_follow_from_the_numbers_of_each_seed(record):
    for row in record["claims"]:
        if row["gain"] is None or row["gain"]["n"] < 2:
            continue
        gain = gain_of(
            [float("nan") if v is None else v for v in row["values_a"]],
            [float("nan") if v is None else v for v in row["values_b"]],
            row["kind"], row["margin"],
        )  # fmt: skip
        assert gain.mean == pytest.approx(row["gain"]["mean"], rel=1e-9, abs=1e-12)
        assert gain.p == pytest.approx(row["gain"]["p"], rel=1e-6, abs=1e-12)
        evidence = Evidence(row["holm_p"], row["planned"], row["diverged"], row["a"] in row["edge"])
        said, _ = verdict(gain, row["kind"], row["margin"], evidence)
        if row["why"] == CHECK_FAILS:
            said = UNDECIDED
        assert row["verdict"] in VERDICTS and row["verdict"].startswith(said)


def test_the_documentation_is_that_of_the_record(record):
    spec = importlib.util.spec_from_file_location("claims_page", ROOT / "docs" / "claims_page.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.PAGE.read_text(encoding="utf-8") == made.text(), "python docs/claims_page.py"


def test_the_page_holds_every_claim_and_asks_nothing_of_the_network(record):
    html = page.page(record)
    for row in record["claims"]:
        assert row["name"] in html
        assert row["gain"] is None or row["says"].replace("'", "&#39;") in html
    assert "digits: digits, MLP" in html and ">0–19<" in html
    assert "http://" not in html.replace("http://www.w3.org", "") and "<script" not in html


def test_the_figure_has_a_row_for_every_measured_claim_and_control(record):
    figure = forest(record["claims"])
    shown = wording.measured(record["claims"])
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert len(labels) == sum(1 + len(row["controls"]) for row in shown)
    assert figure.axes[0].get_xlim() == (-REACH, REACH)


def test_a_long_verdict_leaves_room_for_the_panel(record):
    rows = [{**row, "verdict": EXPLAINED} for row in wording.measured(record["claims"])]
    figure = forest(rows)
    figure.draw_without_rendering()
    panel = figure.axes[0].get_position()
    shown = [t for t in figure.axes[0].texts if t.get_window_extent().x1 > figure.bbox.width]
    assert panel.width > 0.3 and shown == []


def test_nothing_measured_draws_nothing():
    with pytest.raises(ValueError, match="run landscape claims first"):
        forest([])
