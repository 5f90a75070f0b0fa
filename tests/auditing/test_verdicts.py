"""What noise costs two checkpoints: a lower accuracy without noise is no lack of robustness."""

import numpy as np
import pytest

from landscape.auditing.page import write
from landscape.auditing.verdicts import Audit
from landscape.records import NoiseRecord, Point

SIGMA = np.array([0.0, 0.02, 0.05])


def noise(clean, drops, seed=0, accuracy=True):
    """A record whose quantity falls (accuracy) or rises (loss) by `drops` on average."""
    rng = np.random.default_rng(seed)
    jitter = rng.normal(0, 0.002, (3, 12)) * (SIGMA[:, None] > 0)
    change = np.array(drops)[:, None] + jitter
    nothing = np.full((3, 12), np.nan)
    return NoiseRecord(
        sigma=SIGMA,
        loss=0.3 + change if accuracy else clean + change,
        accuracy=clean - change if accuracy else nothing,
        scale="max",
        clean_loss=0.3 if accuracy else clean,
        clean_accuracy=clean if accuracy else np.nan,
        point=Point(0.3, 0.1, 5.0, 100, 60, "test", "stored", "float64", "cpu", "f"),
    )


def robustness(new, old):
    return Audit((), {"noise": new}, {"noise": old}, "fail").robustness


@pytest.mark.parametrize("accuracy", [True, False])
def test_less_accurate_and_losing_less_at_every_level_is_more_robust(accuracy):
    """0.80 falling by 0.01 and 0.02 beside 0.95 falling by 0.03 and 0.08: absolutely lower at
    every level, and the more robust one. The loss alike.
    """
    clean = (0.80, 0.95) if accuracy else (0.9, 0.2)
    new = noise(clean[0], [0.0, 0.01, 0.02], 0, accuracy)
    old = noise(clean[1], [0.0, 0.03, 0.08], 1, accuracy)
    words = robustness(new, old)
    assert words.startswith(
        "The checkpoint is more robust to weight noise than the baseline at σ = 0.02, 0.05 ("
    )
    assert f"{clean[0]:.4g} here and {clean[1]:.4g} for the baseline" in words
    assert "less robust" not in words
    assert "less robust" in robustness(old, new)


def test_the_same_cost_from_another_start_is_no_difference():
    new, old = noise(0.6, [0.0, 0.01, 0.02], 0), noise(0.95, [0.0, 0.01, 0.02], 1)
    assert robustness(new, old).startswith("No significant difference in robustness")
    assert robustness(old, new).startswith("No significant difference in robustness")


def test_each_way_at_its_levels():
    new, old = noise(0.9, [0.0, 0.01, 0.09], 0), noise(0.9, [0.0, 0.03, 0.02], 1)
    words = robustness(new, old)
    assert "less robust to weight noise than the baseline at σ = 0.05 and more robust" in words
    assert "at σ = 0.02 (" in words


def test_figures_of_an_audit_show_the_baseline(tmp_path, monkeypatch):
    from landscape import plots
    from landscape.auditing.requirements import Evaluation

    drawn = {}
    plot = plots.PLOTS["noise"]
    monkeypatch.setitem(
        plots.PLOTS, "noise", lambda records: drawn.update(records) or plot(records)
    )
    own = {"evaluation": Evaluation(0.3, 0.9, 0.1), "noise": noise(0.9, [0.0, 0.01, 0.02])}
    other = {"evaluation": Evaluation(0.3, 0.8, 0.1), "noise": noise(0.8, [0.0, 0.02, 0.04], 1)}
    page = write(Audit((), own, other, "fail"), tmp_path, about={"checkpoint": "m.pt"}).read_text()
    assert drawn == {"checkpoint": own["noise"], "baseline": other["noise"]}
    svg = page[page.index("<svg") : page.index("</svg>")]
    assert svg.count("<use") or "checkpoint" in page
    drawn.clear()
    write(Audit((), own, None, "fail"), tmp_path, about={"checkpoint": "m.pt"})
    assert drawn == {"": own["noise"]}
