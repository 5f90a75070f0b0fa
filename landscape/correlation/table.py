"""Table of the networks of a grid, from their runs: what was measured, and why one is left out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from landscape.analysis.reference_points import final
from landscape.correlation import forgetting
from landscape.correlation.grid import Grid, text_of
from landscape.correlation.networks import Network
from landscape.network.weights import Weights
from landscape.report.wording import listed
from landscape.statistics.network_table import (
    QUANTITIES,
    REACHED,
    SHARPNESS,
    TARGET,
    NetworkTable,
)
from landscape.study.numbers import numbers
from landscape.training.run import Run, has_ended
from landscape.training.stage import network as untrained_network

MISSING = "not trained yet"


def table_of(grid: Grid, networks: Sequence[Network], failed: Mapping[str, str]) -> NetworkTable:
    """Collect the numbers of all networks.

    failed: reasons by the label of a cell that did not end.
    """
    rows, states = [], []
    for network in networks:
        run = Run(network.cell.path) if has_ended(network.cell.path) else None
        state = failed.get(network.cell.label, "") or _state(run)
        states.append(state)
        rows.append(numbers_of(run) if run and state == REACHED else {})
    names = list(dict.fromkeys(name for row in rows for name in row))
    ordered = sorted(names, key=lambda name: (_place(name), names.index(name)))
    return NetworkTable(
        {
            grid.name(path): [text_of(network.values[path]) for network in networks]
            for path in grid.varying
        },
        [network.seed for network in networks],
        states,
        {name: np.array([row.get(name, math.nan) for row in rows]) for name in ordered},
    )


def numbers_of(run: Run) -> dict[str, float]:
    """Every quantity of one network; NaN where it was not measured.

    One that learned a sequence of tasks is measured after the first, and asked how it forgets it.
    """
    run.verify()
    if run.settings.lifelong is not None:
        row = measured(*forgetting.after_first_task(run), initial(run))
        return row | forgetting.forgotten(run, row["lambda_max"])
    last = run.metrics[-1]
    row = measured(last, run.records(), final(run), initial(run))
    return row | {
        "test_loss": last["test_loss"],
        "gap_loss": last["test_loss"] - last["train_loss"],
        "gap_error": last["train_accuracy"] - last["test_accuracy"],
        "noise_intolerance": -row["noise_sigma_5"],
    }


def measured(
    last: Mapping[str, float], records: Mapping[str, Any], end: Tensor, start: Tensor
) -> dict[str, float]:
    """Measures and yardsticks of a network at the weights `end`.

    last: row of metrics there. start: weights before the first step; (n,) both.
    """
    held = numbers(last, records)
    row = {n: held[n] for n, q in QUANTITIES.items() if n in held and q.role != TARGET}
    if "sharpness" in records:
        answer = records["sharpness"]
        means = zip(answer.radii, answer.mean, strict=True)
        row |= {f"{SHARPNESS}{radius:g}": float(mean) for radius, mean in means}
    return row | {
        "distance": float((end - start).double().norm()),
        "w_norm": float(end.double().norm()),
        "steps": last["step"],
        "parameters": float(end.numel()),
    }


def initial(run: Run) -> Tensor:
    """A run's weights before its first step (n,), drawn again by its seed, on the CPU."""
    return Weights(untrained_network(run.settings, run.task).cpu()).read()


def _state(run: Run | None) -> str:
    if run is None:
        return MISSING
    if run.status["state"] == "diverged":
        return f"diverged after epoch {run.status['epoch']}"
    stop = run.status.get("stop_at_loss", {})
    if stop.get("met"):
        return REACHED
    if run.settings.lifelong is not None:
        missed = [str(i) for i, task in enumerate(stop["tasks"], 1) if not task["met"]]
        return f"not reached: task {listed(missed)}, {run.settings.training.epochs} epochs at most"
    epochs, loss = run.status["epoch"], run.metrics[-1]["train_loss"]
    return f"not reached: training loss {loss:.3g} after {epochs} epochs"


def _place(name: str) -> float:
    """Place of a column: as `QUANTITIES` has it, sharpness after λ max and trace."""
    return list(QUANTITIES).index(name) if name in QUANTITIES else 1.5
