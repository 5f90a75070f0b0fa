"""Numbers of the networks of a grid, a row a network, as CSV: what correlations are taken of."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from landscape.records import Array
from landscape.utils import files

MEASURE, YARDSTICK, TARGET = "measure", "yardstick", "target"
NETWORK = "network"  # the column that numbers them
SEED, STATE = "seed", "state"
REACHED = "reached"  # the state of a network that met the level


@dataclass(frozen=True)
class Quantity:
    """A number of a network. sign: −1 where a larger one means flatter, so that the opposite is
    correlated: a positive correlation always means that sharper goes with worse.
    """

    label: str
    role: str
    sign: int = 1


QUANTITIES: dict[str, Quantity] = {
    "lambda_max": Quantity("λ max of the Hessian", MEASURE),
    "trace": Quantity("trace of the Hessian", MEASURE),
    "kappa": Quantity("relative flatness κ", MEASURE),
    "kappa_hat": Quantity("simplified κ̂", MEASURE),
    "noise_sigma_5": Quantity("reversed noise σ at −5 points", MEASURE, -1),
    "grad_norm": Quantity("‖∇L‖", MEASURE),
    "w_norm": Quantity("‖w‖", MEASURE),
    "distance": Quantity("distance from the start", MEASURE),
    "forgetting_bound": Quantity("bound ½ λ max ‖Δw‖²", MEASURE),
    "steps": Quantity("steps", YARDSTICK),
    "parameters": Quantity("parameters", YARDSTICK),
    "train_loss": Quantity("training loss", YARDSTICK),
    "moved": Quantity("distance moved later, ‖Δw‖", YARDSTICK),
    "gap_loss": Quantity("gap of the loss", TARGET),
    "gap_error": Quantity("gap of the error", TARGET),
    "test_loss": Quantity("test loss", TARGET),
    "noise_intolerance": Quantity("intolerance of noise on the weights", TARGET),
    "forgetting": Quantity("forgetting of the first task", TARGET),
    "loss_rise": Quantity("rise of the first task's test loss", TARGET),
}
SHARPNESS = "sharpness@"  # followed by the radius


def quantity(name: str) -> Quantity:
    """The quantity of a column; sharpness has its radius in the name."""
    if name.startswith(SHARPNESS):
        return Quantity(f"sharpness at ρ = {name.removeprefix(SHARPNESS)}", MEASURE)
    return QUANTITIES[name]


@dataclass(frozen=True)
class NetworkTable:
    """Networks of a grid. settings: values as text, by axis; numbers: by quantity; each (n,).

    states: "reached", or why a network is left out.
    """

    settings: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    states: Sequence[str]
    numbers: Mapping[str, Array] = field(default_factory=dict)

    @property
    def reached(self) -> Array:
        """Mask of the networks that met the level, (n,)."""
        return np.array([state == REACHED for state in self.states], dtype=bool)

    def among_reached(self) -> "NetworkTable":
        """The table of the networks that met the level."""
        rows = np.flatnonzero(self.reached).tolist()
        return NetworkTable(
            {name: [values[i] for i in rows] for name, values in self.settings.items()},
            [self.seeds[i] for i in rows],
            [self.states[i] for i in rows],
            {name: values[rows] for name, values in self.numbers.items()},
        )

    def oriented(self, name: str) -> Array:
        """A quantity such that larger means sharper, (n,)."""
        return quantity(name).sign * self.numbers[name]

    def named(self, role: str) -> list[str]:
        """Quantities of a role that at least one network has."""
        return [
            name
            for name, values in self.numbers.items()
            if quantity(name).role == role and np.isfinite(values).any()
        ]

    def describe(self, row: int) -> str:
        """Settings of a network in words."""
        said = [f"{name} {values[row]}" for name, values in self.settings.items()]
        return ", ".join([*said, f"seed {self.seeds[row]}"])

    def write(self, path: Path) -> None:
        """Write CSV; a number that is missing is an empty field."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([NETWORK, *self.settings, SEED, STATE, *self.numbers])
        for i, (seed, state) in enumerate(zip(self.seeds, self.states, strict=True)):
            values = [values[i] for values in self.settings.values()]
            numbers = [_text(float(column[i])) for column in self.numbers.values()]
            writer.writerow([i, *values, seed, state, *numbers])
        files.write(path, text.getvalue())


def read_networks(path: Path) -> NetworkTable:
    """Read what `write` wrote; ValueError with the path where it is something else."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = list(csv.reader(file))
        at, columns = head.index(SEED), list(zip(*rows, strict=True))
        if head[0] != NETWORK or head[at + 1] != STATE:
            raise ValueError("its head is another one")
        numbers = {
            name: np.array([float(value) if value else math.nan for value in column])
            for name, column in zip(head[at + 2 :], columns[at + 2 :], strict=True)
        }
        for name in numbers:
            quantity(name)
        settings = dict(zip(head[1:at], columns[1:at], strict=True))
        return NetworkTable(settings, list(map(int, columns[at])), columns[at + 1], numbers)
    except (ValueError, IndexError, KeyError, csv.Error) as error:
        raise ValueError(f"{path} is no table of networks: {files.one_line(error)}.") from None


def _text(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else ""
