"""Records of flatness at a point."""

from dataclasses import dataclass
from typing import ClassVar

from landscape.records.record import Record


@dataclass(frozen=True, eq=False)
class RelativeFlatnessRecord(Record):
    """Relative flatness of one layer: kappa (`value`) and kappa_hat (`simplified`).

    stderr: standard error of `value`; 0 where it is exact.
    """

    kind: ClassVar[str] = "relative_flatness"
    value: float
    simplified: float
    stderr: float
    layer: str
    estimator: str
