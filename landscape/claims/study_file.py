"""Studies of the claims: files of `landscape compare`, read as arguments of `landscape.compare`."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from landscape.claims.claim import Claim, table
from landscape.measures import MEASURES
from landscape.training.settings import unlabelled

QUICK = "digits"  # the study of a first look
QUICK_SEEDS = 6


@dataclass(frozen=True)
class StudyFile:
    """Arguments of `landscape.compare` for one study, beside those of a call.

    name: of its file and folder; words: for a reader. needs: "cuda", or "". start: task and method
    of a run whose weights all begin with; empty for none.
    """

    name: str
    words: str
    task: str
    methods: tuple[str, ...]
    seeds: int
    measures: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Mapping[str, Any]]
    grid: Mapping[str, list[Any]]
    tune_seeds: int
    tuned_as: Mapping[str, str]
    controls: bool
    needs: str = ""
    start: Mapping[str, str] | None = None

    def arguments(self) -> dict[str, Any]:
        """Keywords of `landscape.compare`."""
        return {
            "task": self.task, "methods": self.methods, "seeds": self.seeds,
            "measures": list(self.measures), "settings": self.settings, "options": self.options,
            "grid": self.grid, "tune_seeds": self.tune_seeds, "tuned_as": self.tuned_as,
            "controls": self.controls,
        }  # fmt: skip

    def only(self, methods: Collection[str]) -> "StudyFile":
        """The part of it that has some methods, and what those follow."""
        sources = {self.tuned_as[name] for name in methods if name in self.tuned_as}
        if controls := self.controls and any("@as-" in name for name in methods):
            sources.add("lookbehind")
        kept = tuple(name for name in self.methods if name in {*methods, *sources})
        names = {*kept, *map(unlabelled, kept)}
        parts = {part for name in names for part in name.split("+")}
        return replace(
            self,
            methods=kept,
            controls=controls,
            tuned_as={name: source for name, source in self.tuned_as.items() if name in kept},
            grid={
                path: values
                for path, values in self.grid.items()
                if path.partition(".")[0] in {"training", "data", *parts}
            },
        )

    def quick(self) -> "StudyFile":
        """A first look: six seeds, the middle learning rate, so four trials."""
        rates = self.grid["training.lr"]
        grid = {path: values for path, values in self.grid.items() if path != "training.lr"}
        training = {**self.settings.get("training", {}), "lr": rates[len(rates) // 2]}
        settings = {**self.settings, "training": training}
        return replace(
            self,
            name=folder_name(self.name, quick=True),
            seeds=QUICK_SEEDS,
            grid=grid,
            settings=settings,
            tune_seeds=1,
        )

    def from_weights(self, run: str) -> "StudyFile":
        """The same, begun at the weights of a run."""
        init = {**self.settings.get("init", {}), "source": run}
        return replace(self, settings={**self.settings, "init": init})


def folder_name(name: str, *, quick: bool) -> str:
    """Folder of a study; of a first look at it beside the whole one."""
    return f"{name}-quick" if quick else name


def study_file(name: str) -> StudyFile:
    """Read a study by the name of its file."""
    text = (files(__package__) / "studies" / f"{name}.toml").read_text(encoding="utf-8")
    tree = tomllib.loads(text)
    about = table()["studies"][name]
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    settings = {key: value for key, value in tables.items() if key not in MEASURES}
    if tree.get("protocol") == "lifelong":
        settings.setdefault("lifelong", {})
    if "budget" in tree:
        settings["training"] = {**settings.get("training", {}), "budget": tree["budget"]}
    return StudyFile(
        name,
        about["words"],
        tree["task"],
        tuple(tree["methods"]),
        tree["seeds"],
        tuple(tree["measures"]),
        settings,
        {key: value for key, value in tables.items() if key in MEASURES},
        dict(map(_axis, tree.get("grid", []))),
        tree.get("tune_seeds", 1),
        dict(entry.split("=") for entry in tree.get("tuned_as", [])),
        bool(tree.get("controls")),
        about.get("needs", ""),
        about.get("start"),
    )


def _axis(entry: str) -> tuple[str, list[Any]]:
    """("sam.rho", [0.02, 0.05]) from "sam.rho=0.02,0.05"."""
    path, _, text = entry.partition("=")
    return path, tomllib.loads(f"values = [{text}]")["values"]


def studies_of(
    claims: Collection[Claim], trained: Mapping[str, Collection[str]] | None = None
) -> list[StudyFile]:
    """The studies that claims are tested in, each with the methods that they look at.

    trained: methods by study that stay in it as well.
    """
    asked: dict[str, set[str]] = {}
    for claim in claims:
        for name in claim.studies:
            asked.setdefault(name, set((trained or {}).get(name, ()))).update(claim.methods)
    return [study_file(name).only(asked[name]) for name in table()["studies"] if name in asked]
