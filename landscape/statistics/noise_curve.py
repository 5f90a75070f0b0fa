"""Statistics of noise records: intervals over draws, noise tolerance, paired differences.

Intervals are over the draws of the noise, for one minimum on one data set: they say nothing of
other seeds of training, nor of other examples.
"""

import math

import numpy as np

from landscape.records import Array, NoiseRecord
from landscape.statistics.intervals import Interval, PairedDifference, paired_difference, t_interval

QUANTITIES = ("accuracy", "loss")


def curve(record: NoiseRecord, quantity: str = "accuracy", level: float = 0.95) -> list[Interval]:
    """Mean over draws with its t interval, one for each level of the noise.

    NaN where a draw is not finite: the mean of the others would be too kind.
    """
    return [_over_draws(row, level) for row in _values(record, quantity)]


def sigma_at_drop(record: NoiseRecord, points: float = 5.0, level: float = 0.95) -> Interval:
    """The level at which the mean accuracy has fallen by `points` hundredths below the clean one.

    `mean` is where the curve of means crosses, `low` and `high` where the two ends of its t
    interval do: the levels at which a test would not reject that drop. Linear between levels.
    `mean` and `low` are NaN where their curve never falls that far on the levels measured, `high`
    is then infinite. All are NaN where there is no accuracy.

    Raises ValueError unless `points` is positive.

    Example: accuracy falls from 1 to 0.8 at σ = 0.1, and to 0.95 at a quarter of that.

    >>> import numpy as np
    >>> from landscape.records import NoiseRecord
    >>> from landscape.statistics import noise_curve
    >>> record = NoiseRecord(
    ...     sigma=np.array([0.1]), loss=np.ones((1, 2)), accuracy=np.full((1, 2), 0.8),
    ...     clean_loss=0.0, clean_accuracy=1.0, scale="max",
    ... )
    >>> round(noise_curve.sigma_at_drop(record).mean, 4)
    0.025
    """
    if not points > 0:
        raise ValueError(f"`points` must be positive. Got {points}.")
    means = curve(record, "accuracy", level)
    threshold = record.clean_accuracy - points / 100
    ends = {
        end: _crossing(record, np.array([getattr(found, end) for found in means]), threshold)
        for end in ("low", "mean", "high")
    }
    if math.isnan(ends["high"]) and not math.isnan(means[-1].high):
        ends["high"] = math.inf
    return Interval(**ends, n=record.accuracy.shape[1])


def area(record: NoiseRecord, quantity: str = "accuracy", level: float = 0.95) -> Interval:
    """Area under the curve over σ from 0 to the last level, divided by that length.

    That is the mean over noise levels, in the unit of the quantity: accuracy in [0, 1], the loss in
    its own. By the trapezoid rule for each draw, so the t interval is over draws. Comparable
    between records of one scale and one last level only. NaN where that level is 0.
    """
    clean = record.clean_loss if quantity == "loss" else record.clean_accuracy
    values = _values(record, quantity)
    start = np.full((1, values.shape[1]), clean)
    sigma, values = np.append(0.0, record.sigma), np.concatenate([start, values])
    if sigma[-1] == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    return _over_draws(np.trapezoid(values, sigma, axis=0) / sigma[-1], level)


def difference(
    a: NoiseRecord, b: NoiseRecord, quantity: str = "accuracy", level: float = 0.95
) -> list[PairedDifference]:
    """a − b at each level, paired over the draws that both minima saw.

    Raises ValueError where the two were not asked the same question: other noise (seed, scale,
    levels, draws, parameters that are noisy, number of weights) or other data.
    """
    refuse_other_questions(a, b)
    rows = zip(_values(a, quantity), _values(b, quantity), strict=True)
    return [_paired(x, y, level) for x, y in rows]


def cost_difference(
    a: NoiseRecord, b: NoiseRecord, quantity: str = "accuracy", level: float = 0.95
) -> list[PairedDifference]:
    """Cost of the noise to a minus that to b at each level, paired as in `difference`.

    The cost of a draw is the accuracy that is lost from the noise-free value, or the loss that is
    added to it, so a minimum that is only less accurate without noise is not the less robust one.
    """
    refuse_other_questions(a, b)
    rows = zip(_costs(a, quantity), _costs(b, quantity), strict=True)
    return [_paired(x, y, level) for x, y in rows]


def _costs(record: NoiseRecord, quantity: str) -> Array:
    """The cost of each draw, (levels, draws)."""
    if quantity == "loss":
        return _values(record, quantity) - record.clean_loss
    return record.clean_accuracy - _values(record, quantity)


def refuse_other_questions(a: NoiseRecord, b: NoiseRecord) -> None:
    """Raise ValueError where two records were asked under other noise or on other data."""
    for name, ours, theirs in _questions(a, b):
        if ours != theirs:
            raise ValueError(
                f"Paired records must share {name}. Got {ours} and {theirs}: measure both alike."
            )


def _questions(a: NoiseRecord, b: NoiseRecord) -> list[tuple[str, object, object]]:
    settings = ("seed", "biases", "normalisation")
    asked = [(name, a.settings.get(name), b.settings.get(name)) for name in settings]
    asked += [("scale", a.scale, b.scale), ("levels", a.sigma.tolist(), b.sigma.tolist())]
    asked += [("the number of draws", a.loss.shape[1], b.loss.shape[1])]
    for name, words in {
        "n": "the number of weights",
        "fingerprint": "their examples",
        "batch_norm": "the batch-norm policy",
    }.items():
        asked.append((words, getattr(a.point, name, None), getattr(b.point, name, None)))
    return asked


def _paired(x: Array, y: Array, level: float) -> PairedDifference:
    found = paired_difference(x, y, level)
    if found.n < len(x):
        nan = math.nan
        return PairedDifference(nan, nan, nan, nan, nan, nan, found.n)
    return found


def _over_draws(samples: Array, level: float) -> Interval:
    found = t_interval(samples, level)
    return found if found.n == len(samples) else Interval(math.nan, math.nan, math.nan, found.n)


def _values(record: NoiseRecord, quantity: str) -> Array:
    if quantity not in QUANTITIES:
        raise ValueError(f"`quantity` must be one of {', '.join(QUANTITIES)}. Got {quantity!r}.")
    values: Array = getattr(record, quantity)
    return values


def _crossing(record: NoiseRecord, accuracy: Array, threshold: float) -> float:
    """The first σ at which a curve over the levels, from the clean accuracy at 0, is that low."""
    sigma = np.append(0.0, record.sigma)
    accuracy = np.append(record.clean_accuracy, accuracy)
    below = np.flatnonzero(accuracy <= threshold)
    if len(below) == 0:
        return math.nan
    i = below[0]
    fraction = (accuracy[i - 1] - threshold) / (accuracy[i - 1] - accuracy[i])
    return float(sigma[i - 1] + fraction * (sigma[i] - sigma[i - 1]))
