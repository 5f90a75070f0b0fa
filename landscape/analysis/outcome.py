"""Outcome of measuring one minimum: its numbers by name, and two sentences about them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from landscape.records import (
    EigenvaluesRecord,
    LifelongRecord,
    NoiseRecord,
    QuantizationRecord,
    Record,
    RelativeFlatnessRecord,
    RiseAreaRecord,
    TraceRecord,
)
from landscape.records.scores import ACCURACY, score_name, worded
from landscape.statistics.noise_curve import sigma_at_drop

DROP = 5  # hundredths of accuracy that noise may cost


def values(records: Mapping[str, Record]) -> dict[str, Any]:
    """Collect the numbers of one minimum by name, as plain numbers and lists.

    loss, grad_norm and w_norm are those at the point; lambda_max has lambda_max_bound, the others
    their 95 % interval as ..._low and ..._high where the measure states one.
    """
    found: dict[str, Any] = {}
    for record in records.values():
        if record.point is not None and "loss" not in found:
            names = ("loss", "grad_norm", "w_norm", "examples", "split")
            found |= {name: getattr(record.point, name) for name in names}
        found |= dict(_of_record(record))
    return found


def sentences(records: Mapping[str, Record], metrics: Mapping[str, float]) -> list[str]:
    """Say in two sentences at most what was found: the curvature, then accuracy and robustness.

    metrics: the last row of a run's metrics; empty for a checkpoint. Only what was measured is
    said; an empty list where that is nothing.
    """
    found = values(records)
    robustness = worded(_robustness(found, metrics), score_name(records.values()))
    return [line for line in (_curvature(found), robustness) if line]


def of_training(metrics: Mapping[str, float], score: str = ACCURACY) -> str:
    """Say how a training ended: accuracy, losses and cost, from the last row of its metrics.

    score: what accuracies are.
    """
    parts = [
        f"test {score} {metrics['test_accuracy']:.1%}{_over_tasks(metrics)}"
        if math.isfinite(metrics["test_accuracy"])
        else "",
        f"test loss {metrics['test_loss']:.4g}",
        f"training loss {metrics['train_loss']:.4g} after {metrics['epoch']:g} epochs",
        f"{metrics['grad_evals']:g} gradient evaluations in {metrics['seconds']:.3g} s",
    ]
    return _sentence([part for part in parts if part])


def _over_tasks(metrics: Mapping[str, float]) -> str:
    return f" as a mean over {metrics['task']:g} tasks" if "task" in metrics else ""


def of_tasks(records: Mapping[str, Record]) -> list[str]:
    """Say in one sentence what a sequence of tasks left behind; nothing for other runs."""
    record = records.get("lifelong")
    if not isinstance(record, LifelongRecord) or not math.isfinite(record.forgetting):
        return []
    parts = [
        f"accuracy just after each task {record.learning_accuracy:.1%}",
        f"forgetting {100 * record.forgetting:.1f} points",
        f"backward transfer {100 * record.backward_transfer:+.1f} points",
        f"forward transfer {100 * record.forward_transfer:+.1f} points",
    ]
    return [_sentence(parts).replace("-", "−")]


def of_run(
    metrics: Mapping[str, float], records: Mapping[str, Record], score: str = ACCURACY
) -> list[str]:
    """Say in few sentences how a run ended and what was measured at its minimum."""
    measured = [" ".join(found)] if (found := sentences(records, {})) else []
    return [of_training(metrics, score), *of_tasks(records), *measured]


def _of_record(record: Record) -> Iterator[tuple[str, Any]]:
    match record:
        case EigenvaluesRecord():
            if record.curvature == "hessian" and record.layer is None:
                i = int(np.nanargmax(record.values))
                yield "lambda_max", float(record.values[i])
                yield "lambda_max_bound", float(record.bounds[i])
                yield "lambda_max_converged", bool(record.converged[i])
            yield "eigenvalues", [float(value) for value in record.values]
        case RiseAreaRecord():
            yield "rise", record.rise
            yield "rise_area", record.area
            yield "rise_area_error", float(record.area_errors[1])
        case TraceRecord():
            yield "trace", record.value
            yield "trace_low", record.low
            yield "trace_high", record.high
        case RelativeFlatnessRecord():
            yield "kappa", record.value
            yield "kappa_stderr", record.stderr
        case NoiseRecord():
            drop = sigma_at_drop(record, points=DROP)
            yield f"noise_sigma_{DROP}", drop.mean
            yield f"noise_sigma_{DROP}_low", drop.low
            yield f"noise_sigma_{DROP}_high", drop.high
            yield "noise_largest_sigma", float(record.sigma[-1])
            yield "measured_accuracy", record.clean_accuracy
        case QuantizationRecord():
            yield "measured_accuracy", record.clean_accuracy
            for bits, row in zip(record.bits, record.accuracy, strict=True):
                yield f"int{int(bits)}_accuracy", float(row[0])


def _curvature(found: Mapping[str, Any]) -> str:
    parts = []
    if "lambda_max" in found:
        bound = found["lambda_max_bound"]
        caution = "" if found["lambda_max_converged"] else ", not converged"
        within = f"{found['lambda_max']:.4g} (an eigenvalue lies within {bound:.1g}{caution})"
        parts.append(f"the largest eigenvalue of the Hessian is {within}")
    if math.isfinite(found.get("rise_area", math.nan)):
        area = f"{found['rise_area']:.4g} ± {found['rise_area_error']:.1g}"
        parts.append(f"the loss rises by less than {found['rise']:g} on an area of {area}")
    if "trace" in found:
        half = (found["trace_high"] - found["trace_low"]) / 2
        parts.append(f"the trace {found['trace']:.4g} ± {half:.2g}")
    if "kappa" in found:
        parts.append(f"relative flatness κ {found['kappa']:.4g}")
    if "grad_norm" in found:
        parts.append(f"‖∇L‖ {found['grad_norm']:.2g} at a loss of {found['loss']:.4g}")
    return _sentence(parts)


def _robustness(found: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    parts = []
    if math.isfinite(metrics.get("test_accuracy", math.nan)):
        parts.append(f"test accuracy {metrics['test_accuracy']:.1%}")
    sigma = found.get(f"noise_sigma_{DROP}", math.nan)
    if math.isfinite(sigma):
        parts.append(f"noise of σ = {sigma:.2g} on the weights costs {DROP} points of accuracy")
    elif math.isfinite(found.get("measured_accuracy", math.nan)) and "noise_largest_sigma" in found:
        largest = found["noise_largest_sigma"]
        parts.append(f"noise up to σ = {largest:.2g} on the weights costs less than {DROP} points")
    clean = found.get("measured_accuracy", math.nan)
    for bits in (8, 4):
        rounded = found.get(f"int{bits}_accuracy", math.nan)
        if math.isfinite(rounded) and math.isfinite(clean):
            change = f"{100 * (rounded - clean):+.1f} points".replace("-", "−")
            parts.append(f"rounding to {bits} bits {change}")
    return _sentence(parts)


def _sentence(parts: list[str]) -> str:
    text = ", ".join(parts)
    if not text:
        return ""
    first = text[0].upper() if text[0].isascii() else text[0]  # Λ is not λ
    return f"{first}{text[1:]}."
