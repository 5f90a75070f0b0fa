"""Contents of a report, and one order of the methods for all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from landscape.plots.drawing.prepare import axis_label
from landscape.records import METRICS, ComparisonRecord, Record, StudyRecord
from landscape.records.record import axes_of
from landscape.records.scores import worded

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, eq=False)
class Contents:
    """A study, its statistics and what was recorded of each run.

    cells: (method, seed) -> kind -> record ("curves", "eigenvalues", "relative_flatness", "noise",
    "surface"); whatever is missing is left out of the page.
    settings, environment: nested mappings, shown as they are. command: what to type to redo it.
    Raises ValueError where study and comparison speak of different methods or metrics.
    """

    study: StudyRecord
    comparison: ComparisonRecord
    cells: Mapping[tuple[str, int], Mapping[str, Record]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for axis in ("methods", "metrics"):
            ours, theirs = (list(getattr(r, axis)) for r in (self.study, self.comparison))
            if ours != theirs:
                raise ValueError(
                    f"`comparison` must have the {axis} of `study`, {ours}. Got {theirs}."
                )

    @property
    def methods(self) -> list[str]:
        """Names, in the order of the study."""
        return [str(method) for method in self.study.methods]

    @property
    def computed(self) -> list[str]:
        """Metrics of which at least one method has a mean."""
        means = zip(self.comparison.metrics, self.comparison.mean, strict=True)
        return [str(metric) for metric, row in means if np.isfinite(row).any()]

    @property
    def seeds(self) -> int:
        """Number of runs requested per method."""
        return len(self.study.seeds)

    def by_seed(self, kind: str) -> dict[str, dict[int, Any]]:
        """Method -> seed -> its record of one kind; methods and seeds without one are left out."""
        found = {
            method: {
                seed: self.cells[method, seed][kind]
                for seed in map(int, self.study.seeds)
                if kind in self.cells.get((method, seed), {})
            }
            for method in self.methods
        }
        return {method: records for method, records in found.items() if records}

    def records(self, kind: str) -> dict[str, list[Any]]:
        """Method -> its records of one kind, in the order of the seeds."""
        return {method: list(found.values()) for method, found in self.by_seed(kind).items()}

    def label(self, metric: str) -> str:
        """Name of a metric with its unit; of the area with the rise it was measured at."""
        rises = {r.rise for found in self.records("rise_area").values() for r in found}
        at = f" by {rises.pop():g}" if metric == "rise_area" and len(rises) == 1 else ""
        return axis_label(metric, [self.study]) + at

    def words(self, text: str) -> str:
        """Words on the accuracy as they are said of the study's score, as "mean IoU"."""
        return worded(text, self.study.score)

    def name(self, metric: str) -> str:
        """Name of a metric without its unit."""
        return self.words(METRICS[metric].label if metric in METRICS else metric)

    def count(self, method: str, status: str) -> int:
        """Count a method's runs of a status: "finished", "diverged" or "missing"."""
        return int((self.study.status[self.methods.index(method)] == status).sum())

    def count_all(self, status: str) -> int:
        """Count the study's runs of a status."""
        return int((self.study.status == status).sum())


def flattest_first(contents: Contents) -> Contents:
    """The same contents with the methods by their mean λ max, the lowest first.

    The baseline takes its place among them. A method without λ max comes last; where no λ max
    was computed the study's order stays.
    """
    record = contents.comparison
    if "lambda_max" not in contents.computed:
        return contents
    means = record.mean[list(record.metrics).index("lambda_max")]
    order = np.argsort(np.where(np.isfinite(means), means, np.inf), kind="stable")
    return replace(
        contents,
        study=_taken(contents.study, StudyRecord, order),
        comparison=_taken(record, ComparisonRecord, order),
    )


def _taken(record: R, kind: type[R], order: Any) -> R:
    """The record with every array taken in this order along its axis of methods."""
    arrays: dict[str, Any] = {
        name: np.take(value, order, axis=axes.names.index("method"))
        for name, axes in axes_of(kind).items()
        if "method" in axes.names and (value := getattr(record, name)) is not None
    }
    return replace(record, **arrays)
