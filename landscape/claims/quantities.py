"""Numbers of the runs of a study that claims compare: those of its table, and three more."""

import math
from collections.abc import Callable

import numpy as np
import torch

from landscape.records import METRICS, Array, StudyRecord
from landscape.study.study import Study
from landscape.training.run import Run, load_data


def values(
    study: Study, record: StudyRecord, method: str, metric: str, *, log: bool = False
) -> Array:
    """A metric of a method over the seeds of a study, (seeds,); NaN where it was not computed.

    record: the study's. log: the logarithm of the metric; NaN where it is not positive.

    Raises ValueError for an unknown metric.
    """
    if metric in METRICS:
        by_seed = record.values(metric, method)
    elif metric in FURTHER:
        runs = [study.runs.get((method, seed)) for seed in study.plan["seeds"]]
        by_seed = np.array([math.nan if run is None else _finished(run, metric) for run in runs])
    else:
        raise ValueError(f"`metric` must be one of a study's table, or of FURTHER. Got {metric!r}.")
    if not log:
        return by_seed
    return np.log(np.where(by_seed > 0, by_seed, np.nan))


def _finished(run: Run, metric: str) -> float:
    return FURTHER[metric](run) if run.status["state"] == "finished" else math.nan


def climb_ratio(run: Run) -> float:
    """Mean length of the climb ‖e‖ in the last epoch over that in the first."""
    climbs = [row["climb_norm"] for row in run.metrics if "climb_norm" in row]
    return climbs[-1] / climbs[0] if len(climbs) > 1 and climbs[0] > 0 else math.nan


def final_radius(run: Run) -> float:
    """Radius that LETS has learned, mean of the last epoch."""
    return run.metrics[-1].get("rho", math.nan)


def output_variance(run: Run) -> float:
    """Variance of the outputs' probabilities over 100 test inputs, mean over places and classes.

    A network that answers the same to all inputs has 0.
    """
    dataset, model = load_data(run.task, None), run.model().eval()
    with torch.no_grad():
        outputs = model(dataset.test_x[:100])
    return float(outputs.double().softmax(1).var(0).mean())


FURTHER: dict[str, Callable[[Run], float]] = {
    "climb_ratio": climb_ratio,
    "final_radius": final_radius,
    "output_variance": output_variance,
}
