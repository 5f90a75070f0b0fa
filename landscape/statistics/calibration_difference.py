"""Difference of two calibration errors on the same examples, by the paired bootstrap."""

import numpy as np

from landscape.records import CalibrationRecord
from landscape.records.outputs import bins_of_equal_width, calibration_error
from landscape.statistics.intervals import Interval

RESAMPLES = 1000


def calibration_difference(
    new: CalibrationRecord, old: CalibrationRecord, seed: int = 0
) -> Interval:
    """Expected calibration error of `new` minus that of `old`, with its 95 % bootstrap interval.

    Each resample draws the same examples for both. Raises ValueError for records of different
    examples, by their number and fingerprint, or numbers of bins.
    """
    bins, n = int(new.settings["bins"]), len(new.confidence)
    if int(old.settings["bins"]) != bins or len(old.confidence) != n:
        raise ValueError(
            f"`old` must be of the same examples and bins, {n} and {bins}. Got "
            f"{len(old.confidence)} and {old.settings['bins']}."
        )
    if new.point and old.point and new.point.fingerprint != old.point.fingerprint:
        raise ValueError(
            "`old` must be of the same examples. Got as many of other data: measure both alike."
        )
    rng = np.random.default_rng(seed)
    bin_of = [bins_of_equal_width(record.confidence, bins) for record in (new, old)]

    def apart(rows: np.ndarray) -> float:
        errors = (
            calibration_error(r.confidence[rows], r.correct[rows], b[rows], bins)
            for r, b in zip((new, old), bin_of, strict=True)
        )
        return next(errors) - next(errors)

    draws = [apart(rng.integers(n, size=n)) for _ in range(RESAMPLES)]
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(apart(np.arange(n)), float(low), float(high), n)
