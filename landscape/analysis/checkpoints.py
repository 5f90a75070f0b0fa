"""A checkpoint from elsewhere: ask measures of it, and keep the answers as records in a folder."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from landscape.analysis.runs import WALKS, counter, is_answered
from landscape.analysis.subject import BESIDE, DATA_OF, Subject
from landscape.measures.context import fingerprint
from landscape.objective.objective import Objective
from landscape.records import Record, load, load_all
from landscape.utils.progress import Listener, silent

WEIGHTS = "weights"  # entry of a record's provenance: the fingerprint of w


def analyze(
    subject: Subject,
    measures: Mapping[str, Any],
    folder: Path,
    *,
    examples: int,
    force: bool = False,
    about: Mapping[str, Any] | None = None,
    progress: Listener = silent,
) -> dict[str, Path]:
    """Records of a checkpoint, by measure: the paths of their files in `folder`/records.

    measures: by name. A record that answers the same question on the same examples is kept,
    unless `force`. examples: how many were asked for. about: for the records' provenance.

    Raises ValueError where the folder holds records of other weights.
    """
    weights = fingerprint(subject.train.w)
    refuse_others(folder, weights)
    paths = {}
    for name, measure in measures.items():
        path = paths[name] = folder / "records" / f"{name}.nc"
        if not force and is_kept(path, name, measure, subject, examples):
            continue
        extra: dict[str, Any] = {}
        if name in BESIDE and has_parts(subject):
            extra["other"] = part(subject, BESIDE[name])
        if name in WALKS:
            extra["keep"] = path.with_name(f".{name}.rows")
        label = f"{folder.name}: {name.replace('_', ' ')}"
        record = measure(part(subject, DATA_OF[name]), progress=counter(progress, label), **extra)
        signed = {**record.provenance, **(about or {}), "examples_asked_for": examples}
        signed[WEIGHTS] = weights
        replace(_located(record, name, subject), provenance=signed).save(path)
    return paths


def part(subject: Subject, which: str) -> Objective:
    """The objective on the training or the test data."""
    return subject.train if which == "train" else subject.test


def has_parts(subject: Subject) -> bool:
    """Whether training and test data are different data."""
    return subject.train.fingerprint != subject.test.fingerprint


def is_kept(path: Path, name: str, measure: Any, subject: Subject, examples: int) -> bool:
    """Whether a record is there: same settings and policy, on the same examples and loss."""
    objective = part(subject, DATA_OF[name])
    if not is_answered(path, measure, examples, objective.batch_norm):
        return False
    point = load(path).point
    assert point is not None
    same = math.isclose(point.loss, objective.summary.loss, rel_tol=1e-4)
    return same and point.fingerprint == objective.fingerprint


def refuse_others(folder: Path, weights: str) -> None:
    """ValueError where a folder holds records of other weights, as those of a run or an audit."""
    if any(found.provenance.get(WEIGHTS) != weights for found in load_all(folder).values()):
        raise ValueError(
            f"{folder} holds records of other weights. Choose another --out, or delete it."
        )


def _located(record: Any, name: str, subject: Subject) -> Record:
    """The record, saying on which part of the data, where there are two."""
    if not has_parts(subject):
        return record
    where = {"point": replace(record.point, split=DATA_OF[name])}
    if name in BESIDE:
        where["other_point"] = {**record.other_point, "split": BESIDE[name]}
    return replace(record, **where)
