"""The outcome of the claims as plain values: what claims.json holds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from landscape.claims.claim import table
from landscape.claims.judgement import Judgement, Measured, label_of
from landscape.claims.wording import interval
from landscape.records import Array, StudyRecord
from landscape.utils.environment import environment, processor


def content(
    judgements: Sequence[Judgement],
    measured: Mapping[str, Measured],
    *,
    quick: bool,
    command: str,
) -> dict[str, Any]:
    """Rows of the claims, with what each study consisted of and the machine."""
    return {
        "quick": quick,
        "command": command,
        "environment": {**environment(), "processor": processor()},
        "studies": {name: _about(name, held) for name, held in measured.items()},
        "claims": [_row(judgement) for judgement in judgements],
    }


def _row(judgement: Judgement) -> dict[str, Any]:
    claim, gain = judgement.claim, judgement.gain
    about = asdict(claim)
    del about["studies"], about["controls"], about["beside"]
    numbers = asdict(judgement)
    del numbers["claim"]
    row = {**about, **numbers, "label": label_of(claim.metric)}
    labels = {metric: label_of(metric) for metric in judgement.beside}
    labels |= {rival: table()["controls"][rival] for rival in judgement.controls}
    return {**row, "amount": interval(row, asdict(gain)) if gain else "", "labels": labels}


def _about(name: str, held: Measured) -> dict[str, Any]:
    """Contents of a study: task, settings, seeds, chosen values, hours of training."""
    plan, record = held.study.plan, held.record
    tuning = plan["tuning"]
    trained = float(np.nansum(_values(record, "seconds")))
    tried = sum(one["seconds"] for one in tuning.values())
    costs = _values(record, "grad_evals")
    return {
        "words": table()["studies"][name]["words"],
        "task": plan["task"],
        "methods": plan["methods"],
        "seeds": plan["seeds"],
        "budget": plan["budget"],
        "settings": _without_folders(plan["settings"]),
        "chosen": {method: one["chosen"] for method, one in tuning.items()},
        "trials": {method: len(one["trials"]) for method, one in tuning.items()},
        "tried": {method: _tried(one["trials"]) for method, one in tuning.items()},
        "controls": plan["controls"],
        "gradient_evaluations": {
            str(method): float(np.nanmean(row)) if np.isfinite(row).any() else None
            for method, row in zip(record.methods, costs, strict=True)
        },
        "hours": {"training": trained / 3600, "tuning": tried / 3600},
        "score": record.score,
    }


def _without_folders(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings, a run whose weights all begin with by its name alone."""
    if not (source := settings.get("init", {}).get("source")):
        return settings
    return {**settings, "init": {**settings["init"], "source": Path(source).name}}


def _tried(trials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The combinations that were tried, each once."""
    return [t["values"] for t in {t["combination"]: t for t in trials}.values()]


def _values(record: StudyRecord, metric: str) -> Array:
    return np.asarray(record.table[list(record.metrics).index(metric)])
