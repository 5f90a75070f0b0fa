"""Rows of a measure of curvature, one of each random direction, kept or shared out."""

from collections.abc import Mapping, Sequence
from typing import Any

from landscape.measures.context import Progress, recorded
from landscape.measures.curvature.operator import Operator
from landscape.measures.rows.shared_rows import Keep, Rows, identity, ways_of


def rows_of(
    keep: Keep,
    measure: Any,
    matrix: Operator,
    *,
    question: Mapping[str, Any] | None = None,
    ways: Sequence[str] = (),
    progress: Progress | None = None,
    most: int | None = None,
) -> Rows:
    """The rows of a measure, whose products are made in one way in all processes.

    question, ways: what decides the numbers, and what the first process chooses, beside settings,
    objective and products. progress, most: as `Rows` has them.
    Raises ValueError as `Operator.take_way` does.
    """
    for products in ways_of(keep)[:1]:
        matrix.take_way(products)

    def asked() -> Mapping[str, Any]:
        known = {"settings": recorded(measure), "objective": identity(matrix.objective)}
        return {**known, "products": matrix.products, **(question or {})}

    return Rows(
        keep, asked, ways=[matrix.products, *ways], ranks=matrix.ranks, progress=progress, most=most
    )
