"""Numbers of one minimum for the table of a study."""

from collections.abc import Mapping
from typing import Any

import numpy as np

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
    row |= one_number_each(records)
    return row


def one_number_each(records: Mapping[str, Any]) -> dict[str, float]:
    """Collect the metrics of the measures whose records are a number or two."""
    row = {}
    if "critical_sharpness" in records:
        row["critical_sharpness"] = records["critical_sharpness"].value
    if "adaptive_sharpness" in records:
        worst = records["adaptive_sharpness"].mean
        row["adaptive_sharpness"] = float(worst[len(worst) // 2])
    if "batch_eigenvalues" in records:
        row["batch_lambda_max"] = records["batch_eigenvalues"].mean
    if "fisher_rao" in records:
        row["fisher_rao"] = records["fisher_rao"].value
    if "pac_bayes" in records:
        sigma = records["pac_bayes"].sigma
        plain, magnitude = np.where(np.isfinite(sigma), sigma, np.nan)
        row["pac_bayes_sigma"], row["pac_bayes_magnitude"] = float(plain), float(magnitude)
    if "calibration" in records:
        row["ece"] = records["calibration"].ece
    return row
