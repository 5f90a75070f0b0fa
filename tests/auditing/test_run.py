"""Audits: what is asked, what is decided, and how more draws decide it."""

import json
from xml.etree import ElementTree

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape import Objective
from landscape.analysis.subject import TrainTestObjective
from landscape.auditing.page import write
from landscape.auditing.requirements import HOLDS, SHORT, parse
from landscape.auditing.run import MOST_DRAWS, _other_examples, judge
from landscape.measures import NoiseRobustness


def subject(shift=0.0, seed=0, targets=None):
    """A classifier of three classes on Gaussian points; `shift` spoils its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        x = torch.randn(60, 4, dtype=torch.float64)
        model = nn.Linear(4, 3, dtype=torch.float64)
        with torch.no_grad():
            model.weight.copy_(3 * torch.eye(3, 4))
            model.weight.add_(shift * torch.randn(3, 4))
    y = x[:, :3].argmax(1) if targets is None else targets(x)
    loss = F.cross_entropy if targets is None else F.mse_loss
    objective = Objective(model, [(x, y)], lambda m, b: loss(m(b.x), b.y))
    return TrainTestObjective(objective, objective)


def run(*texts, **options):
    return judge(options.pop("of", subject()), [parse(text) for text in texts], **options)


def test_only_what_is_named_is_measured():
    found = run("accuracy >= 0.5", "noise.accuracy@0.3 >= 0.1")
    assert set(found.answers) == {"evaluation", "noise"}
    assert 0.3 in found.answers["noise"].sigma
    assert [v.outcome for v in found.verdicts] == [HOLDS, HOLDS]
    assert found.passed


def test_the_usual_measures_without_requirements():
    found = run()
    assert set(found.answers) == {
        "evaluation", "eigenvalues", "relative_flatness", "noise", "quantization", "worst_case",
    }  # fmt: skip
    assert found.passed and found.verdicts == ()


def test_all_must_hold():
    found = run("accuracy >= 0.5", "accuracy >= 1.5")
    assert [v.outcome for v in found.verdicts] == [HOLDS, SHORT]
    assert not found.passed


def test_what_an_ascent_did_not_refute_is_told_so(tmp_path):
    """It passes, under its own name, everywhere."""
    found = run("worst.loss@0.01 <= 9", "accuracy >= 0.5")
    ((line, _), about) = (v.line for v in found.verdicts), {"checkpoint": "m.pt"}
    assert line.startswith("not refuted: worst.loss@0.01 <= 9 (")
    assert line.endswith(", inf], nothing worse was found)")
    page = write(found, tmp_path, about=about).read_text()
    assert "Passed: 1 of 2 requirements hold, 1 not refuted." in page
    assert "1 of 2 hold, 1 not refuted" in (tmp_path / "badge.svg").read_text()
    assert "gradient ascent found nothing that breaks it, which is no proof" in page
    tree = json.loads((tmp_path / "audit.json").read_text())
    assert [row["outcome"] for row in tree["requirements"]] == ["not refuted", "holds"]
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().get("failures") == "0"
    other = write(run("accuracy >= 0.5"), tmp_path, about=about).read_text()
    assert "which is no proof" not in other


def uncertain_threshold():
    record = NoiseRobustness(sigmas=(0.2,), draws=10)(subject().test)
    return record.accuracy.mean() - 0.3 * record.accuracy.std() / 10**0.5


def test_an_uncertain_requirement():
    """The same numbers fail, pass, or are decided by more draws of the same noise."""
    text = f"noise.accuracy@0.2 >= {uncertain_threshold()}"
    assert not run(text).passed
    assert run(text).verdicts[0].outcome == "uncertain"
    assert run(text, on_uncertain="pass").passed
    more = run(text, on_uncertain="more")
    first, again = run(text).answers["noise"].accuracy, more.answers["noise"].accuracy
    assert 10 < again.shape[1] <= MOST_DRAWS
    assert (again[:, :10] == first).all()


def test_more_draws_end(monkeypatch):
    most = 80
    monkeypatch.setattr("landscape.auditing.run.MOST_DRAWS", most)
    record = NoiseRobustness(sigmas=(0.2,), draws=most)(subject().test)
    found = run(f"noise.accuracy@0.2 >= {record.accuracy.mean()}", on_uncertain="more")
    assert found.answers["noise"].accuracy.shape[1] == most
    assert not found.passed


def test_beside_a_baseline_the_draws_are_the_same():
    worse = subject(shift=2.0)
    found = run(
        "change.noise.accuracy@0.05 >= 0", "change.accuracy < 0", of=worse, baseline=subject()
    )
    assert found.verdicts[0].outcome == SHORT and found.verdicts[1].outcome == HOLDS
    assert found.robustness.startswith("No significant difference in robustness")
    assert "0.9167 here and 0.9667 for the baseline" in found.robustness
    same = run(baseline=subject())
    assert same.robustness.startswith("No significant difference")
    assert same.answers["noise"].accuracy.tolist() == same.baseline["noise"].accuracy.tolist()


def test_networks_that_cannot_be_paired():
    other = subject(seed=1)
    with pytest.raises(ValueError, match="must share their examples"):
        run("change.noise.accuracy@0.05 >= 0", baseline=other)


def test_regression_has_no_accuracy():
    found = run("loss >= 0", of=subject(targets=lambda x: x[:, :3]))
    assert found.passed
    with pytest.raises(ValueError, match="does not apply"):
        run("accuracy >= 0", of=subject(targets=lambda x: x[:, :3]))


def test_options_reach_the_measures():
    found = run("noise.accuracy@0.3 >= 0", options={"noise": {"draws": 4, "sigmas": (0.1,)}})
    assert found.answers["noise"].sigma.tolist() == [0.1, 0.3]
    assert found.answers["noise"].loss.shape == (2, 4)
    with pytest.raises(ValueError, match="on_uncertain"):
        run(on_uncertain="maybe")


def test_files(tmp_path):
    found = run("accuracy >= 0.5", "accuracy >= 1.5", baseline=subject())
    about = {"checkpoint": "<script>x</script>.pt", "notes": ("<b>note</b>",)}
    page = write(found, tmp_path, about=about, command="landscape audit <x>")
    tree = json.loads((tmp_path / "audit.json").read_text())
    assert tree["passed"] is False
    assert [row["outcome"] for row in tree["requirements"]] == [HOLDS, SHORT]
    assert tree["measured"]["noise.accuracy@0.05"]["low"] <= 1
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.find("failure") is None for case in suite] == [True, False]
    text = page.read_text()
    assert "<script>x" not in text and "<b>note" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert (tmp_path / "records" / "noise.nc").exists()


NEWER = {
    "critical_sharpness": "critical_sharpness", "adaptive_sharpness@0.002": "adaptive_sharpness",
    "batch_eigenvalues.mean": "batch_eigenvalues", "batch_eigenvalues.median": "batch_eigenvalues",
    "fisher_rao": "fisher_rao", "pac_bayes.sigma": "pac_bayes", "pac_bayes.magnitude": "pac_bayes",
    "calibration.ece": "calibration", "calibration.brier": "calibration",
}  # fmt: skip
SMALL = {
    "adaptive_sharpness": {"steps": 2, "draws": 2}, "batch_eigenvalues": {"m": 20},
    "pac_bayes": {"draws": 2}, "calibration": {"resamples": 100},
}  # fmt: skip


@pytest.mark.parametrize("name", NEWER)
def test_each_newer_quantity_decides(name):
    """It is above −1; above 1000 none is. What a search found refutes an upper bound alone."""
    texts, settings = (
        [f"{name} >= -1", f"{name} >= 1000"],
        {NEWER[name]: SMALL.get(NEWER[name], {})},
    )
    found = run(*texts, options=settings)
    assert NEWER[name] in found.answers
    assert found.verdicts[0].outcome == HOLDS
    assert found.verdicts[1].outcome != HOLDS and not found.passed


def test_calibration_beside_a_baseline():
    """The difference is paired over the examples: of the same network it is 0."""
    same = run("calibration.ece <= 1", "change.calibration.ece <= 0", baseline=subject())
    assert [v.outcome for v in same.verdicts] == [HOLDS, HOLDS]
    texts = ("change.calibration.ece < 0", "change.calibration.ece >= 0")
    better = run(*texts, of=subject(shift=1.0), baseline=subject())
    assert [v.outcome for v in better.verdicts] == [HOLDS, SHORT]


def test_other_examples_of_the_baseline_are_noted():
    """The fingerprints of the data decide, not their number."""
    one = subject()
    assert _other_examples(one, subject()) == ()
    changed = TrainTestObjective(one.train, subject(seed=1).test)
    (line,) = _other_examples(one, changed)
    assert line.startswith("The two checkpoints were not measured on the same test examples")
