"""Numbers of one minimum for the table of a study."""

from collections.abc import Mapping
from typing import Any

from landscape.records import LIFELONG, METRICS
from landscape.statistics.noise_curve import area, sigma_at_drop


def numbers(
    last: Mapping[str, float], records: Mapping[str, Any], label_noise: float = 0.0
) -> dict[str, float]:
    """Collect each metric of one minimum; NaN if its measure is missing.

    The gap is between losses of the same distribution: with noisy labels the test loss in it is
    that under the same noise. NaN for runs from before that was kept.
    """
    row = dict.fromkeys(METRICS, float("nan"))
    for name in ("test_accuracy", "test_loss", "train_loss", "grad_evals", "seconds"):
        row[name] = last[name]
    test = last.get("noisy_test_loss", float("nan")) if label_noise else last["test_loss"]
    row["generalisation_gap"] = test - last["train_loss"]
    if "eigenvalues" in records:
        row["lambda_max"] = float(records["eigenvalues"].values.max())
        row["grad_norm"] = records["eigenvalues"].point.grad_norm
        row["w_norm"] = records["eigenvalues"].point.w_norm
    if "rise_area" in records:
        row["rise_area"] = records["rise_area"].area
    if "trace" in records:
        row["trace"] = records["trace"].value
    if "relative_flatness" in records:
        row["kappa"] = records["relative_flatness"].value
        row["kappa_hat"] = records["relative_flatness"].simplified
    if "noise" in records:
        row["noise_sigma_5"] = sigma_at_drop(records["noise"], points=5).mean
        row["noise_accuracy"] = area(records["noise"]).mean
    if "lifelong" in records:
        row |= {n: getattr(records["lifelong"], n) for n in LIFELONG if n in METRICS}
    if "sharpness" in records:
        row["sharpness"] = float(records["sharpness"].mean[len(records["sharpness"].radii) // 2])
    return row
