"""Distances from the weights that a training started from, parameter by parameter.

`displacement.json` in a run's folder has the norms at the start from the first step on, and the
distances at the end.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from landscape.records import DisplacementRecord, axes_of
from landscape.utils import files

FILE = "displacement.json"
SAME = 1e-9  # two random draws never have norms as near as this; the same one always has
NUMBERS = ("elements", "distance", "start_norm")


class Start:
    """A network's parameters before the first step, copied to the CPU.

    drawn: names of those that did not come from a file. kept: ‖w₀‖ by name as an interrupted run
    wrote it down; None for a new run. Drawn parameters come back by the seed where a run goes on,
    but not on another kind of device: of those with another norm than kept the start is not known.
    """

    def __init__(
        self, model: nn.Module, drawn: frozenset[str], kept: dict[str, float] | None = None
    ):
        self._drawn = drawn
        self._weights = {n: p.detach().to("cpu", copy=True) for n, p in model.named_parameters()}
        self._frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
        self._norms = {name: _norm(w) for name, w in self._weights.items()}
        self._unknown: set[str] = set()
        if kept is not None:
            again = {n: kept.get(n, math.nan) for n in drawn}
            same = {n for n in drawn if math.isclose(again[n], self._norms[n], rel_tol=SAME)}
            self._unknown = set(drawn - same)
            self._norms |= {n: again[n] for n in self._unknown}

    def write(self, run: Path, model: nn.Module | None = None) -> None:
        """Write the norms at the start; with the model at the end of training also the distances.

        Sums are in float64.
        """
        now = {} if model is None else dict(model.named_parameters())
        rows = [
            {
                "parameters": name,
                "elements": weights.numel(),
                "distance": self._distance(name, now.get(name)),
                "start_norm": self._norms[name],
                "frozen": name in self._frozen,
                "drawn": name in self._drawn,
            }
            for name, weights in self._weights.items()
        ]
        files.write_json(run / FILE, {key: [row[key] for row in rows] for key in rows[0]})

    def _distance(self, name: str, now: Tensor | None) -> float:
        if now is None or name in self._unknown:
            return math.nan
        return _norm(_wide(now.detach().cpu()) - _wide(self._weights[name]))


def kept_norms(run: Path) -> dict[str, float]:
    """‖w₀‖ by name as a run wrote it down; empty where it did not."""
    if not (run / FILE).exists():
        return {}
    found = record(run)
    return dict(zip(map(str, found.parameters), map(float, found.start_norm), strict=True))


def record(run: Path) -> DisplacementRecord:
    """The distances of a run.

    Raises ValueError, KeyError or TypeError where the file is damaged.
    """
    held: dict[str, Any] = files.read_object(run / FILE, parameters=list)
    columns: dict[str, Any] = {
        name: np.array(held[name], dtype=float if name in NUMBERS else None)
        for name in axes_of(DisplacementRecord)
    }
    return DisplacementRecord(**columns)


def _norm(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(_wide(values)))


def _wide(values: Tensor) -> Tensor:
    """In double precision, also of complex numbers."""
    return values.to(torch.promote_types(values.dtype, torch.float64))
