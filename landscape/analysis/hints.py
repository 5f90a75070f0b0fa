"""Hints about results: one line each, with the cause and the remedy."""

from collections.abc import Iterable, Mapping

from landscape.records import EigenvaluesRecord, Record, SpectralDensityRecord, TraceRecord
from landscape.training.run import Run

FEWEST_SEEDS = 6  # below it exact sign flips cannot reach p < 0.05
COARSE = 0.05  # share of a density that still moves


def of_runs(runs: Iterable[Run]) -> list[str]:
    """List diverged trainings, records that were left out, passes that were not compiled, and
    notes on the data files.
    """
    runs = list(runs)
    unsound = [
        f"{path} is damaged or was not finished, and is left out. Measure it again."
        for run in runs
        for path in run.unsound
    ]
    notes = dict.fromkeys(run.data_note for run in runs)
    diverged = [run for run in runs if run.status["state"] == "diverged"]
    lines = [f"data: {note}" for note in notes if note] + unsound + _above_their_level(runs)
    lines += _not_compiled(runs)
    return lines + [
        f"{run.path} diverged after epoch {run.status['epoch']}; its last finite weights are kept. "
        f"Lower --set {method}.training.lr (it was {run.settings.training.lr:g}), or the radius, "
        "or clip with --set training.max_grad_norm=1."
        for run in diverged
        for method in [run.settings.method.partition("+")[0]]
    ]


def _above_their_level(runs: Iterable[Run]) -> list[str]:
    """Runs that did not come down to the training loss that they were to stop at."""
    above = [run for run in runs if not run.status.get("stop_at_loss", {}).get("met", True)]
    return [
        f"{run.path} did not come down to a training loss of "
        f"{run.settings.training.stop_at_loss:g} in {run.status['epoch']} epochs. Raise "
        "training.epochs, or the learning rate."
        for run in above
        if run.status["state"] == "finished"
    ]


def _not_compiled(runs: Iterable[Run]) -> list[str]:
    """Methods whose passes ran eagerly although they were to be compiled, each reason once."""
    reasons = dict.fromkeys((run.settings.method, run.eager_because) for run in runs)
    return [f"{method} ran eagerly: {reason}." for method, reason in reasons if reason]


def of_seeds(seeds: int) -> list[str]:
    """Warn if there are too few seeds for a test."""
    if seeds >= FEWEST_SEEDS:
        return []
    if seeds == 1:
        return [f"With one seed there is no interval and no verdict: --seeds {FEWEST_SEEDS}."]
    return [
        f"With {seeds} seeds a difference rests on Student's t alone, which takes seeds to be "
        f"normal; no exact test can reach p < 0.05: --seeds {FEWEST_SEEDS}."
    ]


def of_records(records: Mapping[str, Record]) -> list[str]:
    """Which measures ended before they were as exact as was asked."""
    return [line for name, record in records.items() for line in _of_record(name, record)]


def _of_record(name: str, record: Record) -> list[str]:
    if isinstance(record, EigenvaluesRecord) and not record.converged.all():
        missed = int((~record.converged.astype(bool)).sum())
        return [
            f"{name}: {missed} of {len(record.values)} have not converged in {record.hvps} "
            f"products; their bounds hold. --set {name}.max_hvps={4 * record.hvps}, or fewer: "
            f"--set {name}.k={max(1, len(record.values) - missed)}."
        ]
    if isinstance(record, TraceRecord) and not record.converged:
        return [
            f"{name}: {record.value:.3g}, only known to lie in [{record.low:.3g}, "
            f"{record.high:.3g}] after {record.hvps} products. "
            f"--set {name}.max_hvps={4 * record.hvps}, or a wider {name}.tolerance."
        ]
    if isinstance(record, SpectralDensityRecord) and record.steps_error > COARSE:
        return [
            f"{name}: {record.steps_error:.0%} of the density still moved in the last quarter of "
            f"the steps. Raise --set {name}.steps."
        ]
    return []
