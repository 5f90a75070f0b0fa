"""Records of the tables in a run's folder: metrics, learned radius, sharpness, tasks, distances."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from landscape import records
from landscape.training import tables
from landscape.training.start import displacement


def records_of_tables(
    run: Path, rows: list[tables.Row], environment: Mapping[str, Any], score: str
) -> list[records.Record]:
    """Records of a run's metrics, and of its other tables where there are any.

    score: what accuracies are.

    Raises ValueError where a column is missing.
    """
    looks = run / "sharpness.jsonl"
    measured = tables.read(looks) if looks.exists() else []
    try:
        made: list[records.Record] = [replace(curves(rows), score=score)]
        if "rho" in rows[-1]:
            made.append(radius(rows))
        if "sequence" in environment:
            made.append(lifelong(tables.read(run / "lifelong.jsonl"), environment["sequence"]))
        if (run / displacement.FILE).exists():
            made.append(displacement.record(run))
        if measured:
            made.append(sharpness(measured, environment["sharpness"]))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{run} is damaged: its tables lack what a record needs ({error})."
        ) from None
    return made


def curves(rows: list[dict[str, float]]) -> records.CurvesRecord:
    """Metrics rows as a record."""
    names = records.axes_of(records.CurvesRecord)
    columns: dict[str, Any] = {n: np.array([row[n] for row in rows]) for n in names}
    return records.CurvesRecord(**columns)


def radius(rows: list[dict[str, float]]) -> records.RadiusRecord:
    """Metrics rows of a run with a learned radius as a record."""
    names = {"epoch": "epoch", "radius": "rho"} | {n: n for n in ("gap", "agreement", "negative")}
    learned = [row for row in rows if "rho" in row]
    nan = float("nan")
    columns: dict[str, Any] = {
        name: np.array([row.get(key, nan) for row in learned]) for name, key in names.items()
    }
    return records.RadiusRecord(**columns)


def sharpness(
    rows: list[dict[str, float]], where: Mapping[str, Any]
) -> records.SharpnessOverTrainingRecord:
    """Rows of the looks along a run as a record; where: what its point says of the examples."""
    kind = records.SharpnessOverTrainingRecord
    names = [name for name in records.axes_of(kind) if name in rows[0]]
    columns: dict[str, Any] = {n: np.array([row[n] for row in rows]) for n in names}
    last: dict[str, Any] = {name: rows[-1][name] for name in ("loss", "grad_norm", "w_norm")}
    return kind(**columns, point=records.Point(**last, **where))


def lifelong(rows: list[tables.Row], sequence: Mapping[str, Any]) -> records.LifelongRecord:
    """Rows of a sequence's accuracies as a record; sequence: its classes, replay and memory."""
    count = len(sequence["classes"])
    before, *ended = rows

    def matrix(name: str) -> Any:
        found = np.full((count, count), np.nan)
        for i, row in enumerate(ended):
            found[i] = _by_task(row, name, count)
        return found

    def column(name: str) -> Any:
        return np.array([row[name] for row in ended] + [np.nan] * (count - len(ended)))

    return records.LifelongRecord(
        accuracy=matrix("accuracy"), loss=matrix("loss"),
        start=_by_task(before, "accuracy", count), start_loss=_by_task(before, "loss", count),
        grad_evals=column("grad_evals"), seconds=column("seconds"),
        classes=np.array(sequence["classes"]), replay=sequence["replay"], memory=sequence["memory"],
    )  # fmt: skip


def _by_task(row: tables.Row, name: str, count: int) -> Any:
    return np.array([row[f"{name}_{j + 1}"] for j in range(count)])
