"""Claims and their studies: that they fit together, and what is made of a study's numbers."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from landscape.claims import quantities, wording
from landscape.claims.claim import claims, table
from landscape.claims.judgement import Measured, judge
from landscape.claims.outcome import content
from landscape.claims.run import planned
from landscape.claims.study_file import studies_of, study_file
from landscape.plots.claims.forest import forest
from landscape.records import METRICS, StudyRecord
from landscape.statistics.claim_verdict import EXPLAINED, FAILS, HOLDS, NOT_MEASURED, UNDECIDED
from landscape.study.design import Design
from landscape.utils.files import json_bytes

SEEDS = list(range(6))
CONTROLS = {"sam@as-lookbehind"}  # derived by the study


@pytest.mark.parametrize("name", list(table()["studies"]))
def test_every_study_has_what_its_claims_look_at(name):
    study = study_file(name)
    asked = {method for claim in claims() if name in claim.studies for method in (claim.a, claim.b)}
    assert asked <= {*study.methods, *CONTROLS}
    metrics = {claim.metric for claim in claims() if name in claim.studies}
    needs = {"lambda_max": "eigenvalues", "kappa": "relative_flatness", "noise_accuracy": "noise"}
    assert {needs[metric] for metric in metrics if metric in needs} <= set(study.measures)


def test_claims_name_metrics_that_exist_and_controls_that_some_study_trains():
    for claim in claims():
        assert claim.metric in METRICS or claim.metric in quantities.FURTHER
        trained = {m for name in claim.studies for m in study_file(name).methods} | CONTROLS
        assert set(claim.controls) <= trained


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("digits", 48),
        ("digits-equal-gradients", 16),
        ("adaptive-alpha", 27),
        ("start-of-the-radius", 27),
    ],
)
def test_methods_of_a_study_have_equal_trials_and_a_design_that_holds(name, count, tmp_path):
    study = study_file(name)
    design = Design(**study.arguments(), out=tmp_path)
    from landscape.study.tuning import trials

    tried = trials(design.untuned, study.grid, study.tune_seeds, design.first_trial)
    methods = [cell.method for cell, _ in tried]
    assert {methods.count(cell.method) for cell in design.untuned} == {count}


def test_a_paper_asks_for_its_own_part_of_a_study():
    (study,) = (s for s in studies_of(claims(["lookbehind"])) if s.name == "digits")
    assert study.methods == ("sam", "lookbehind", "multistep-sam", "sam@longer")
    assert study.controls and study.tuned_as == {"sam@longer": "sam"}
    assert set(study.grid) == {
        "training.lr", "sam.rho", "lookbehind.rho", "multistep-sam.rho",
    }  # fmt: skip
    (other,) = (s for s in studies_of(claims(["msam"])) if s.name == "digits")
    assert not other.controls
    with pytest.raises(ValueError, match="msam"):
        claims(["msma"])


def test_a_quick_look_is_the_digits_alone():
    chosen, (study,) = planned(["aace"], quick=True)
    assert {claim.studies for claim in chosen} == {("digits",)}
    assert (study.name, study.seeds, study.tune_seeds) == ("digits-quick", 6, 1)
    assert "training.lr" not in study.grid and study.settings["training"]["lr"] == 0.4


def held(**methods):
    """A study whose test accuracies are given by method; "diverged" for a run without."""
    names = list(methods)
    table = np.full((len(METRICS), len(names), len(SEEDS)), np.nan)
    table[list(METRICS).index("test_accuracy")] = list(methods.values())
    status = np.where(np.isfinite(table[list(METRICS).index("test_accuracy")]), "finished", "")
    status[status == ""] = "diverged"
    record = StudyRecord(
        metrics=np.array(list(METRICS)), methods=np.array(names), seeds=np.array(SEEDS),
        table=table, status=status, task="digits",
    )  # fmt: skip
    plan = {
        "methods": names, "seeds": SEEDS, "task": "digits", "budget": "epochs", "settings": {},
        "controls": {}, "tuning": {},
    }  # fmt: skip
    return SimpleNamespace(record=record, plan=plan, runs={})


def judged(study, name="mSAM 1", tuning=None, **changes):
    (claim,) = (claim for claim in claims() if claim.name == name)
    claim = replace(claim, studies=("digits",), **changes)
    study.plan["tuning"] = tuning or {}
    (row,) = judge([claim], {"digits": Measured(study)}, {})
    return row


BASE = np.array([0.90, 0.91, 0.92, 0.90, 0.93, 0.91])
NOISE = np.array([0.001, -0.001, 0.0005, -0.0005, 0.0002, -0.0002])


def test_gains_by_seed_decide():
    assert judged(held(msam=BASE + 0.02 + NOISE, sam=BASE)).verdict == HOLDS
    assert judged(held(msam=BASE + NOISE, sam=BASE)).verdict == FAILS
    row = judged(held(msam=BASE - 0.02 + NOISE, sam=BASE), better="lower")
    assert row.verdict == HOLDS and row.gain.mean == pytest.approx(0.02)
    assert judged(held(msam=BASE, other=BASE)).why == "sam was not trained"


@pytest.mark.parametrize(
    ("share", "verdict", "why"),
    [
        (0.6, HOLDS, ""),
        (0.4, UNDECIDED, "void: training loss is 0.4 of that of sam, at least 0.5 is asked"),
        (np.nan, UNDECIDED, "void: training loss is nan of that of sam, at least 0.5 is asked"),
    ],
)
def test_a_claim_is_void_where_a_metric_falls_short_of_its_share(share, verdict, why):
    study = held(msam=BASE + 0.02 + NOISE, sam=BASE)
    row = list(METRICS).index("train_loss")
    study.record.table[row] = np.array([[share], [1.0]]) * (1 + NOISE)
    found = judged(study, least={"train_loss": 0.5})
    assert (found.verdict, found.why) == (verdict, why)
    assert found.shares["train_loss"] == pytest.approx(share, nan_ok=True)


def test_the_variance_of_the_outputs_is_asked_of_segmentation():
    (claim,) = (claim for claim in claims() if claim.name == "FAM 3")
    assert claim.least == {"output_variance": 0.5}


def test_edges_of_tables_are_those_of_the_number_that_varies():
    decays = [[{"match": "head.*", "weight_decay": d}, {"match": ".*"}] for d in (0.1, 0.2, 0.3)]
    trials = [{"values": {"groups": groups}} for groups in decays]
    for groups, edges in zip(decays, (["groups=0.1"], [], ["groups=0.3"]), strict=True):
        study = held(msam=BASE, sam=BASE)
        study.plan["tuning"] = {"msam": {"chosen": {"groups": groups}, "trials": trials}}
        assert Measured(study).edges("msam") == edges


def test_logarithms_are_compared_and_told_as_factors():
    """0.9 against 0.45 is a factor of two at every seed; a zero is left out."""
    half = BASE / 2 * np.exp(NOISE)
    half[0] = 0.0
    row = judged(held(msam=BASE, sam=half), log=True, margin=float(np.log(1.1)))
    assert row.gain.n == 5 and np.exp(row.gain.mean) == pytest.approx(2.0, rel=1e-2)
    assert wording.amount({"log": True}, row.gain.mean).startswith("×2")


def test_an_edge_and_divergence_are_told():
    trials = [{"values": {"msam.rho": rho, "training.lr": 0.1}} for rho in (0.05, 0.02, 0.1)]
    chosen = {"msam.rho": 0.1, "training.lr": 0.1}
    tuning = {"msam": {"chosen": chosen, "trials": trials}}
    row = judged(held(msam=BASE + NOISE, sam=BASE), tuning=tuning)
    assert row.verdict == UNDECIDED and row.edge == {"msam": ["msam.rho=0.1"]}
    tuning = {"sam": {"chosen": chosen, "trials": trials}}  # the rival's may: it could gain more
    row = judged(held(msam=BASE + NOISE, sam=BASE), tuning=tuning)
    assert row.verdict == FAILS and row.edge == {"sam": ["msam.rho=0.1"]}
    lost = BASE.copy()
    lost[:2] = np.nan
    row = judged(held(msam=lost + 0.02 + NOISE, sam=BASE))
    assert row.verdict == UNDECIDED and row.diverged == 2 and "2 of 6 pairs" in row.why


def test_a_control_in_the_study_must_be_beaten():
    methods = {"lookbehind": BASE + 0.02 + NOISE, "sam": BASE, "sam@longer": BASE + 0.02}
    row = judged(held(**methods), name="Lookbehind 1")
    assert row.verdict == EXPLAINED and set(row.controls) == {"sam@longer"}


def test_a_control_that_was_not_trained_is_named():
    methods = {"lookbehind": BASE + 0.02 + NOISE, "sam": BASE, "sam@longer": BASE + 0.001}
    row = judged(held(**methods), name="Lookbehind 1")
    assert row.verdict == HOLDS
    assert row.why == "not compared with SAM, effective radius and rate"


def test_holm_runs_over_a_paper_and_another_paper_changes_nothing():
    better = {"msam": BASE + 0.02 + NOISE, "fam": BASE + 0.02 + NOISE, "sam": BASE, "sgd": BASE}
    named = ("mSAM 1", "FAM 1", "FAM 2")
    chosen = [replace(c, studies=("digits",)) for c in claims() if c.name in named]
    rows = {r.claim.name: r for r in judge(chosen, {"digits": Measured(held(**better))}, {})}
    assert rows["mSAM 1"].holm_p == pytest.approx(rows["mSAM 1"].gain.p)
    smaller, larger = sorted((rows["FAM 1"], rows["FAM 2"]), key=lambda row: row.gain.p)
    assert smaller.holm_p == pytest.approx(2 * smaller.gain.p)
    assert larger.holm_p == pytest.approx(max(larger.gain.p, smaller.holm_p))


def test_where_the_check_of_a_study_fails_its_claims_carry_the_doubt():
    study = held(msam=BASE + 0.02 + NOISE, sam=BASE + NOISE, sgd=BASE)
    check = replace(claims(["sam"])[0], studies=("digits",), metric="test_accuracy", log=False)
    other = replace(claims(["msam"])[0], studies=("digits",))
    rows = judge([check, other], {"digits": Measured(study)}, {})
    assert rows[0].verdict == FAILS and rows[1].verdict == UNDECIDED
    assert "SAM is not flatter than SGD" in rows[1].why
    study = held(msam=BASE + 0.02 + NOISE, sam=BASE + 10 * NOISE, sgd=BASE)
    check = replace(check, margin=0.005)
    rows = judge([check, other], {"digits": Measured(study)}, {})
    assert rows[0].verdict == UNDECIDED and rows[1].verdict == HOLDS
    assert "not shown to be flatter" in rows[1].why


def test_the_check_of_a_study_counts_for_one_paper_alone_where_sgd_was_trained(monkeypatch):
    """Asked for one paper, the check is not shown, and where it was not measured says nothing."""
    check = replace(claims(["sam"])[0], metric="test_accuracy", log=False, better="higher")
    monkeypatch.setattr("landscape.claims.judgement.claims", lambda papers: [check])
    other = replace(claims(["msam"])[0], studies=("digits",))
    better, flat = BASE + 0.02 + NOISE, BASE + NOISE
    (row,) = judge([other], {"digits": Measured(held(msam=better, sam=flat, sgd=BASE))}, {})
    assert row.claim.paper == "msam" and row.verdict == UNDECIDED
    (row,) = judge([other], {"digits": Measured(held(msam=better, sam=flat))}, {})
    assert row.verdict == HOLDS and row.why == ""


def test_what_was_not_measured_says_why_and_the_words_follow_the_verdicts():
    chosen = [replace(c, studies=("digits", "cifar10-resnet18")) for c in claims(["msam"])[:1]]
    measured = {"digits": Measured(held(msam=BASE + 0.02 + NOISE, sam=BASE))}
    rows = judge(chosen, measured, {"cifar10-resnet18": "needs a CUDA card"})
    assert [row.verdict for row in rows] == [HOLDS, NOT_MEASURED]
    plain = content(rows, measured, quick=False, command="")["claims"]
    assert wording.headline(plain) == "Of 1 test of 1 claim in 1 study: 1 holds here."
    said = wording.markdown(plain)
    assert "+2.00 [" in said and "**" not in said
    assert "* On CIFAR-10, ResNet-18: needs a CUDA card (mSAM 1)." in said


def test_numbers_that_are_not_known_are_read_back_and_shown():
    """A method that diverged with all seeds: null in claims.json, a dash in table and figure."""
    lost = np.full(6, np.nan)
    study = held(lookbehind=lost, sam=BASE, **{"sam@longer": lost})
    (claim,) = (c for c in claims() if c.name == "Lookbehind 1")
    claim = replace(claim, studies=("digits",), beside=("train_loss",))
    rows = judge([claim], {"digits": Measured(study)}, {})
    plain = content(rows, {"digits": Measured(study)}, quick=False, command="")
    (row,) = json.loads(json_bytes(plain))["claims"]
    assert row["gain"]["mean"] is None and row["why"] == "6 of 6 pairs diverged"
    assert wording.markdown([row]) == wording.markdown(plain["claims"])
    assert "| – [–, –] |" in wording.markdown([row])
    figure = forest([row])
    assert len(figure.axes[0].get_yticklabels()) == 2


def test_metrics_beside_are_told_in_points_or_their_unit_and_weights_by_their_run():
    row = {
        "name": "A", "says": "it", "words": "digits", "why": "", "edge": {}, "log": False,
        "margin": 0.005, "holm_p": None, "verdict": HOLDS, "controls": {},
        "gain": dict.fromkeys(("mean", "low", "high", "sign_flip_p"), 0.01) | {"n": 6},
        "beside": {"forgetting": [-0.01, -0.02, 0.0], "w_norm": [-2.5, -3.0, None]},
        "labels": {"forgetting": "forgetting", "w_norm": "‖w‖"},
    }  # fmt: skip
    _, forgetting, norm = wording.lines(row)
    assert forgetting[::2][:2] == ("… difference of forgetting", "−1.00 [−2.00, +0.00]")
    assert norm[2] == "−2.5 [−3, –]"
    study = held(msam=BASE, sam=BASE)
    study.plan["settings"] = {"init": {"source": "/some/where/text-start", "drop": ["head.*"]}}
    outcome = content([], {"digits": Measured(study)}, quick=False, command="")
    about = outcome["studies"]["digits"]
    assert outcome["environment"]["processor"] and about["settings"]["init"] == {
        "source": "text-start",
        "drop": ["head.*"],
    }
