"""One order of the methods for every figure, table and sentence of a page."""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from landscape.records import ComparisonRecord, Record, StudyRecord
from landscape.records.record import axes_of
from landscape.report.contents import Contents

R = TypeVar("R", bound=Record)


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
