"""Claims as `claims.toml` has them."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from landscape.statistics.claim_verdict import KINDS
from landscape.utils.names import names_of


@dataclass(frozen=True)
class Claim:
    """Claim of a paper, tested in each of its studies.

    a, b: the method and what it is compared with. kind: one of KINDS. metric: its number of a run;
    log: the logarithm of it is compared; better: "higher" or "lower", what is claimed of it.
    margin: a gain that does not matter. controls: methods that a must beat as well. beside: metrics
    that are shown without a verdict. least: shares of b's mean that metrics of a must reach; where
    one does not, the claim is void.
    """

    name: str
    paper: str
    says: str
    studies: tuple[str, ...]
    a: str
    b: str
    margin: float
    kind: str = "better"
    metric: str = "test_accuracy"
    log: bool = False
    better: str = "higher"
    controls: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    least: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.better not in ("higher", "lower"):
            raise ValueError(f"{self.name} has kind {self.kind!r} and better {self.better!r}.")

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods that it looks at."""
        return tuple(dict.fromkeys((self.a, self.b, *self.controls)))


@cache
def table() -> Mapping[str, Any]:
    """The tables of `claims.toml`."""
    return tomllib.loads((files(__package__) / "claims.toml").read_text(encoding="utf-8"))


def claims(papers: Sequence[str] | None = None) -> list[Claim]:
    """All claims, or those of some papers; ValueError names the nearest of an unknown one."""
    every = [_claim(entry) for entry in table()["claim"]]
    if papers is None:
        return every
    chosen = names_of("paper", papers, list(dict.fromkeys(claim.paper for claim in every)))
    return [claim for claim in every if claim.paper in chosen]


def _claim(entry: Mapping[str, Any]) -> Claim:
    metric = "log" if entry.get("log") else entry.get("metric", "test_accuracy")
    margin = table()["margins"][entry.get("margin", metric)]
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    return Claim(**{**entry, **lists, "margin": margin})
