"""What a reader must know of how a study was made."""

import dataclasses

import numpy as np
import pytest

from landscape.records import METRICS, DisplacementRecord, StudyRecord
from landscape.report import conditions
from landscape.report.page import page as page_around
from landscape.report.template import flat


def trial(accuracy, lr=0.1, seed=1000):
    loss = None if accuracy is None else 0.5
    return {"values": {"training.lr": lr}, "seed": seed, "accuracy": accuracy, "loss": loss}


def tuned(*trials):
    return {"chosen": {"training.lr": 0.1, "sam.rho": 0.05}, "grad_evals": 12345.0,
            "seconds": 6.78912, "trials": trials}  # fmt: skip


def study(**settings):
    shape = (len(METRICS), 1, 1)
    return StudyRecord(
        np.array(list(METRICS)), np.array(["sam"]), np.arange(1), np.full(shape, np.nan),
        np.full(shape[1:], "finished"), "t", settings=settings,
    )  # fmt: skip


def test_nothing_special_needs_no_words():
    assert conditions.sentences(study()) == []
    assert conditions.sentences(study(label_noise={"sam": 0.0}, tuning={})) == []
    assert conditions.tuning_rows(study()) == []


def test_noisy_labels_are_told_with_their_share():
    (words,) = conditions.sentences(study(label_noise={"sam": 0.2, "sgd": 0.2}))
    assert words.startswith("20 % of the training labels, held-out ones included, were replaced")
    (words,) = conditions.sentences(study(label_noise={"sam": 0.2, "sgd": 0.0}))
    assert words.startswith("0 % or 20 % of")


def test_trials_are_counted_and_their_cost_told():
    record = study(tuning={"sam": tuned(trial(0.9), trial(None, lr=9.0, seed=1001))})
    (words,) = conditions.sentences(record)
    assert "from 2 trials for each method" in words and "never on test data" in words
    (row,) = conditions.tuning_rows(record)
    assert row["method"] == "SAM" and row["chosen"] == "training.lr = 0.1, sam.rho = 0.05"
    assert (row["trials"], row["grad_evals"], row["seconds"]) == (2, "12,345", "6.789")
    assert row["each"] == [
        {"values": "training.lr = 0.1", "seed": "1000", "accuracy": "90", "loss": "0.5"},
        {"values": "training.lr = 9.0", "seed": "1001", "accuracy": "diverged", "loss": "–"},
    ]


def test_the_page_shows_both(small):
    settings = {"label_noise": {"sgd": 0.2}, "tuning": {"sgd": tuned(trial(None), trial(0.75))}}
    record = dataclasses.replace(small.study, settings=settings)
    page = page_around(dataclasses.replace(small, study=record, cells={}), [])
    first = page[page.index('<section id="findings">') : page.index("</section>")]
    told = page[page.index('<details id="told">') : page.index("</details>", page.index("told"))]
    assert "20 % of the training labels" in first and "20 % of the training labels" in told
    assert "held-out data" in told
    section = page[page.index('<details id="tuning">') :]
    for words in ("12,345", "sam.rho = 0.05", "diverged", "<td>75</td>"):
        assert words in section


def test_settings_that_all_methods_share_stand_once(small):
    own = {"sgd": {"lr": 0.1, "seed": 0}, "sam": {"lr": 0.1, "rho": 0.05}, "msam": {"lr": 0.1}}
    rows = conditions.settings_rows(dataclasses.replace(small, settings=own))
    assert rows == [("sgd: seed", "0"), ("sam: rho", "0.05"), ("lr", "0.1")]
    rows = conditions.settings_rows(dataclasses.replace(small, settings={"sam": {"rho": 0.05}}))
    assert rows == [("sam.rho", "0.05")]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"epochs": 3, "budget": "epochs"}, "all have the same budget of epochs"),
        ({"epochs": 3, "budget": "grad-evals"}, "all have the same budget of gradient evaluations"),
    ],
)
def test_the_budget_is_named_by_its_unit(small, own, words):
    settings = {method: {"training": own} for method in small.methods}
    contents = dataclasses.replace(small, settings=settings, cells={})
    assert conditions.budget(contents) == words
    page = page_around(contents, [])
    assert words in page[page.index('<details id="told">') :]
    assert words.replace("all have the same budget of", "equal") in page[: page.index("</header>")]
    settings["sam"] = {"training": {**own, "epochs": 9}}
    unequal = dataclasses.replace(contents, settings=settings)
    assert conditions.budget(unequal) == "their budgets differ, see the settings"


def test_without_settings_the_study_names_the_budget(small):
    study = dataclasses.replace(small.study, budget="grad-evals")
    words = conditions.budget(dataclasses.replace(small, study=study, settings={}))
    assert words == "all have the same budget of gradient evaluations"


INIT = {"source": "../low", "sha256": "0123456789abcdef", "drop": ["head.*", "pool"]}


def started(small, inits, frozen=False):
    """The study with the settings of each method's start, and records of them; None: no record."""
    record = DisplacementRecord(
        parameters=np.array(["body.weight", "body.bias", "head.weight"]),
        elements=np.array([1200, 34, 500]), distance=np.ones(3), start_norm=np.ones(3),
        frozen=np.array([frozen, frozen, False]), drawn=np.array([False, False, True]),
    )  # fmt: skip
    settings = {m: {"init": init, "lr": 0.1} if init else {"lr": 0.1} for m, init in inits.items()}
    cells = {key: {"displacement": record} for key in small.cells} if frozen is not None else {}
    return dataclasses.replace(small, settings=settings, cells=cells)


def test_a_start_is_told_with_what_was_drawn_and_what_is_trained(small):
    same = dict.fromkeys(small.methods, INIT)
    (words,) = conditions.start(started(small, same))
    assert words == (
        "Training started from “low” (SHA-256 0123456789ab…), head drawn anew; "
        "all 1,734 parameters are trained."
    )
    (words,) = conditions.start(started(small, same, frozen=True))
    assert words.endswith("500 of 1,734 parameters are trained, the others frozen.")
    (words,) = conditions.start(started(small, same, frozen=None))  # of an older program
    assert words.endswith("(SHA-256 0123456789ab…); head.* and pool drawn by the seed.")
    assert conditions.start(small) == []


def test_many_drawn_parts_are_counted(small):
    contents = started(small, dict.fromkeys(small.methods, INIT))
    names = np.array([f"part{i}.weight" for i in range(5)])
    five = {"parameters": names, "elements": np.ones(5), "distance": np.ones(5)}
    five |= {"start_norm": np.ones(5), "frozen": np.zeros(5, bool), "drawn": np.ones(5, bool)}
    cells = {key: {"displacement": DisplacementRecord(**five)} for key in contents.cells}
    (words,) = conditions.start(dataclasses.replace(contents, cells=cells))
    assert ", 5 parts drawn anew; all 5 parameters are trained." in words


def test_starts_that_differ_are_told_apart(small):
    inits = {"sgd": INIT, "sam": None, "msam": INIT}
    first, second = conditions.start(started(small, inits, frozen=None))
    assert first.startswith("SGD and mSAM: Training started from “low”")
    assert second == "SAM: Training started from weights drawn by the seed."


def test_the_page_tells_the_start_first(small):
    page = page_around(started(small, dict.fromkeys(small.methods, INIT), frozen=None), [])
    assert "started from “low”" in page[page.index('class="definition"') : page.index("</section>")]
    assert '<th scope="row">init.drop</th><td>head.*, pool</td>' in page


def test_settings_are_written_as_people_write_lists():
    groups = ({"match": "norm.*", "lr": None, "freeze": True}, {"match": ".*", "lr": 0.1})
    tree = {"init": {"drop": ("head.*",), "allow": ()}, "groups": groups, "lr": [0.5, 0.75], "n": 3}
    assert flat(tree) == [
        ("init.drop", "head.*"),
        ("init.allow", "none"),
        ("groups", "match = norm.*, freeze = True; match = .*, lr = 0.1"),
        ("lr", "0.5, 0.75"),
        ("n", "3"),
    ]
