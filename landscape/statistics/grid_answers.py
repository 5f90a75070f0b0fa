"""Answers of a grid of networks: every measure against every target, with its verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from landscape.records.study import SIGNIFICANT
from landscape.statistics.granulated import Granulated, granulated, verdicts
from landscape.statistics.network_table import MEASURE, TARGET, YARDSTICK, NetworkTable, quantity
from landscape.statistics.rank_correlation import RankCorrelation

SCHEMA = 1
LEFT_OUT_AT_MOST = 0.1  # share of the networks; above it the grid has to change
SAME = {"noise_intolerance": "noise_sigma_5"}  # target -> the measure that it is made of
NUISANCE = "train_loss"


@dataclass(frozen=True)
class Answer:
    """A measure, or a yardstick, against a target. verdict and p after Holm: of measures alone."""

    target: str
    measure: str
    role: str
    correlations: Granulated
    verdict: str = ""
    holm_p: float = math.nan

    @property
    def goes_against(self) -> bool:
        """Test whether sharper networks are significantly the better ones by this measure."""
        return self.holm_p < SIGNIFICANT and self.correlations.Psi.tau < 0


@dataclass(frozen=True)
class GridAnswers:
    """Answers of a study, and what it was: the contents of correlate.json.

    about: task, level, grid, seeds, hours, versions. axes: names. planned: number of networks;
    left_out: why, by network.
    """

    axes: Sequence[str]
    answers: Sequence[Answer]
    planned: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Targets in their order."""
        return list(dict.fromkeys(answer.target for answer in self.answers))

    def of(self, target: str, role: str | None = None) -> list[Answer]:
        """Answers on one target, of measures, of yardsticks, or of both."""
        return [a for a in self.answers if a.target == target and role in (None, a.role)]

    @property
    def too_many_left_out(self) -> bool:
        """Test whether more than a tenth of the networks are missing: the grid has to change."""
        return len(self.left_out) > LEFT_OUT_AT_MOST * self.planned

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `from_dict` reads them."""
        return {
            "kind": "correlate",
            "schema": SCHEMA,
            **self.about,
            "axes": list(self.axes),
            "planned": self.planned,
            "left_out": dict(self.left_out),
            "answers": [asdict(answer) for answer in self.answers],
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "GridAnswers":
        """Read what `to_dict` made; ValueError for another kind or a newer schema."""
        if tree.get("kind") != "correlate" or tree.get("schema") != SCHEMA:
            raise ValueError(
                f"It is no correlate.json of schema {SCHEMA}: kind {tree.get('kind')!r}, "
                f"schema {tree.get('schema')!r}."
            )
        known = ("kind", "schema", "axes", "planned", "left_out", "answers")
        about = {key: value for key, value in tree.items() if key not in known}
        answers = [_answer(entry) for entry in tree["answers"]]
        return cls(tree["axes"], answers, tree["planned"], tree["left_out"], about)


def answers_of(
    table: NetworkTable, about: Mapping[str, Any] | None = None, *, resamples: int = 2000
) -> GridAnswers:
    """Correlate every measure and yardstick with every target over the networks that met the level.

    Holm's correction is over the measures of one target.
    """
    kept = table.among_reached()
    varying = {name: v for name, v in kept.settings.items() if len(set(v)) > 1}
    left_out = {table.describe(i): table.states[i] for i in np.flatnonzero(~table.reached).tolist()}
    answers: list[Answer] = []
    for target in kept.named(TARGET):
        by_role = {role: _against(kept, target, role, varying, resamples)
                   for role in (MEASURE, YARDSTICK)}  # fmt: skip
        judged = verdicts([answer.correlations for answer in by_role[MEASURE]])
        answers += [
            Answer(target, a.measure, MEASURE, a.correlations, *judgement)
            for a, judgement in zip(by_role[MEASURE], judged, strict=True)
        ]
        answers += by_role[YARDSTICK]
    return GridAnswers(list(varying), answers, len(table.states), left_out, about or {})


def _against(
    table: NetworkTable,
    target: str,
    role: str,
    settings: Mapping[str, Sequence[str]],
    resamples: int,
) -> list[Answer]:
    names = [name for name in table.named(role) if name != SAME.get(target)]
    nuisance = table.numbers.get(NUISANCE)
    return [
        Answer(
            target, name, role,
            granulated(
                table.oriented(name), table.numbers[target], settings, table.seeds, nuisance,
                resamples=resamples,
            ),
        )
        for name in names
    ]  # fmt: skip


def _answer(entry: Mapping[str, Any]) -> Answer:
    held = dict(entry["correlations"])
    for name in ("tau", "Psi", "partial"):
        held[name] = _correlation(held[name])
    held["psi"] = tuple(map(_correlation, held["psi"]))
    for name in ("within", "between", "band"):
        held[name] = tuple(map(_number, held[name]))
    held["axes"], held["p"] = tuple(held["axes"]), _number(held["p"])
    rest = {key: entry[key] for key in ("target", "measure", "role", "verdict")}
    quantity(rest["measure"]), quantity(rest["target"])
    return Answer(**rest, correlations=Granulated(**held), holm_p=_number(entry["holm_p"]))


def _correlation(entry: Mapping[str, Any]) -> RankCorrelation:
    numbers = {name: _number(entry[name]) for name in ("tau", "low", "high")}
    return RankCorrelation(**numbers, n=entry["n"], draws=entry["draws"])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
