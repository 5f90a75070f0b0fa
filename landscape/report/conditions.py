"""Under which conditions a study was made: noisy labels, and how its settings were chosen."""

import math
from collections.abc import Mapping
from typing import Any

from landscape.records import DisplacementRecord, StudyRecord
from landscape.report.contents import Contents
from landscape.report.numbers import NONE, number
from landscape.report.template import flat
from landscape.report.wording import listed, method_name

DIGITS = 12  # of a SHA-256
NAMED = 4  # more parts than these are counted


def sentences(study: StudyRecord) -> list[str]:
    """Conditions that the first paragraph states besides task, methods and seeds."""
    return [*_noise(study), *_tuned(study)]


def budget(contents: Contents) -> str:
    """Budget of the methods: whether it is equal, and its unit."""
    own = [contents.settings.get(method) for method in contents.methods]
    training = [each.get("training", {}) for each in own if isinstance(each, Mapping)]
    budgets = {each.get("budget", contents.study.budget) for each in training}
    budgets = budgets or {contents.study.budget}
    epochs = {each.get("epochs") for each in training}
    if len(budgets) > 1 or len(epochs) > 1:
        return "their budgets differ, see the settings"
    unit = {"epochs": "epochs", "grad-evals": "gradient evaluations"}
    (kind,) = budgets
    return f"all have the same budget of {unit.get(str(kind), str(kind))}"


def budget_in_short(contents: Contents) -> str:
    """The budget in two words."""
    words = budget(contents)
    return f"equal {words.split(' of ', 1)[1]}" if " of " in words else "budgets differ"


def noise_in_short(study: StudyRecord) -> list[str]:
    """The share of replaced labels in a sentence; none where no label was replaced."""
    words = _shares(study)
    return [f"{words} of the training labels were replaced by another class."] if words else []


def start(contents: Contents) -> list[str]:
    """Sentences on the weights that the trainings started from, one for all methods alike; none
    where all weights were drawn.
    """
    told: dict[str, list[str]] = {}
    for method in contents.methods:
        settings = contents.settings.get(method)
        init = settings.get("init") if isinstance(settings, Mapping) else None
        records = contents.records("displacement").get(method, [])
        words = _start(init, records[0] if records else None) if init else ""
        told.setdefault(words, []).append(method_name(method))
    if len(told) == 1:
        return [words for words in told if words]
    return [f"{listed(who)}: {words or 'Training started from weights drawn by the seed.'}"
            for words, who in told.items()]  # fmt: skip


def _start(init: Mapping[str, Any], record: DisplacementRecord | None) -> str:
    """Source, parts that were drawn, and how many parameters are trained, as far as they are known.

    A run of an older program has no record: of it the patterns of the settings are told.
    """
    digest = str(init.get("sha256", ""))[:DIGITS]
    name = str(init["source"]).removeprefix("../")
    words = f"Training started from “{name}”" + f" (SHA-256 {digest}…)" * bool(digest)
    if record is None:
        patterns = list(init.get("drop", ()))
        return f"{words}; {listed(patterns)} drawn by the seed." if patterns else f"{words}."
    parts = record.parts(depth=1)
    drawn = list(dict.fromkeys(part.module for part in parts if part.drawn))
    total, trained = int(record.elements.sum()), record.trained
    counted = (
        f"all {total:,} parameters are trained" if trained == total
        else f"{trained:,} of {total:,} parameters are trained, the others frozen"
    )  # fmt: skip
    named = listed(drawn) if 0 < len(drawn) <= NAMED else f"{len(drawn)} parts"
    anew = f", {named} drawn anew" if drawn else ""
    return f"{words}{anew}; {counted}."


def tuning_rows(study: StudyRecord) -> list[dict[str, Any]]:
    """A row per tuned method: what was chosen, at which cost, out of which trials."""
    return [
        {
            "method": method_name(method),
            "chosen": _values(found["chosen"]),
            "trials": len(found["trials"]),
            "grad_evals": f"{found['grad_evals']:,.0f}",
            "seconds": number(found["seconds"]),
            "each": [_trial(trial) for trial in found["trials"]],
        }
        for method, found in _tuning(study).items()
    ]


def settings_rows(contents: Contents) -> list[tuple[str, str]]:
    """Settings as lines; what all methods share stands once, the rest with the method's name."""
    found = [contents.settings.get(method) for method in contents.methods]
    if len(found) < 2 or not all(isinstance(own, Mapping) for own in found):
        return flat(contents.settings)
    each = {m: dict(flat(own or {})) for m, own in zip(contents.methods, found, strict=True)}
    first, *others = each.values()
    shared = {k: v for k, v in first.items() if all(own.get(k) == v for own in others)}
    rest = [(f"{method}: {key}", value) for method, own in each.items()
            for key, value in own.items() if key not in shared]  # fmt: skip
    return [*rest, *shared.items()]


def _shares(study: StudyRecord) -> str:
    shares = sorted(set(study.settings.get("label_noise", {}).values()))
    return " or ".join(f"{100 * share:g} %" for share in shares) if any(shares) else ""


def _noise(study: StudyRecord) -> list[str]:
    words = _shares(study)
    if not words:
        return []
    return [
        f"{words} of the training labels, held-out ones included, were replaced by another class; "
        "training losses and curvatures are those of the labels trained on, the test labels are "
        "as they were. The gap is that of the noisy labels: the test loss in it is under the same "
        "noise, in expectation."
    ]


def _tuned(study: StudyRecord) -> list[str]:
    tuning = _tuning(study)
    if not tuning:
        return []
    counts = sorted({len(found["trials"]) for found in tuning.values()})
    each = " or ".join(map(str, counts))
    return [
        f"The settings were chosen on held-out data, never on test data, from {each} trials for "
        "each method, with seeds that the study does not use; the cost of that is not in the table."
    ]


def _tuning(study: StudyRecord) -> Mapping[str, Any]:
    return study.settings.get("tuning", {})


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{path} = {value}" for path, value in values.items()) or NONE


def _trial(trial: Mapping[str, Any]) -> dict[str, str]:
    accuracy, loss = (
        math.nan if trial[key] is None else float(trial[key]) for key in ("accuracy", "loss")
    )
    return {
        "values": _values(trial["values"]),
        "seed": str(trial["seed"]),
        "accuracy": "diverged" if math.isnan(accuracy) else number(100 * accuracy),
        "loss": number(loss),
    }
