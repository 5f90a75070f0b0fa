"""Plans of commands: checked and counted at once, timed after that; nothing is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from landscape.analysis.analyze import measure_of, measures_of
from landscape.analysis.checkpoint_spec import CheckpointSpec, objectives_of
from landscape.analysis.minimum import Minimum, is_answered
from landscape.analysis.subject import BESIDE
from landscape.auditing.requirements import parse
from landscape.auditing.run import asked_for
from landscape.auditing.run import folder_of as audit_folder
from landscape.records.variants import files_of
from landscape.study.cost import (
    GRADIENTS,
    gradient_seconds,
    study_gradient_seconds,
    training_seconds,
)
from landscape.study.design import Design
from landscape.study.tuning import trials
from landscape.tasks.registry import task as find_task
from landscape.training.keeper import Clock
from landscape.training.loggers.log import Choice, loggers_of
from landscape.training.run import Run, has_ended, load_data
from landscape.training.settings import radius_of
from landscape.training.train import check_protocol, ended_in, folder_of, settings_for
from landscape.utils.paths import PathLike, as_path

Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Part:
    """Work of one kind, `count` times to do and `kept` times there already.

    One takes `units` times the seconds that `unit` measures: a training, or gradients.
    """

    name: str
    count: int
    kept: int
    unit: Callable[[], float]
    units: float = 1.0


@dataclass(frozen=True)
class Plan:
    """Parts one after the other, shared out over processes.

    radii: the radius that each method that trains uses, in words.
    """

    what: str
    folder: Path
    parts: Sequence[Part]
    processes: int = 1
    radii: Mapping[str, str] = field(default_factory=dict)

    def seconds(self) -> list[float]:
        """Rough seconds of each part, timed with one thread where processes share the cores."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1 if self.processes > 1 else threads)
        try:
            parts = ((part, part.count * part.units) for part in self.parts)
            return [n * part.unit() / self.processes if n else 0.0 for part, n in parts]
        finally:
            torch.set_num_threads(threads)


def of_training(
    task: str, method: str, seed: int = 0, out: PathLike | None = None, *,
    settings: Options | None = None, data_dir: PathLike | None = None, resume: bool = False,
    log: Choice = (), tensorboard: bool = False, checkpoint_every: int | str = "10min",
) -> Plan:  # fmt: skip
    """Plan `landscape.train` with these arguments. Raises what it would raise."""
    Clock.parse(checkpoint_every)
    loggers_of(log, tensorboard)
    chosen, path = (
        settings_for(task, method, seed, settings or {}),
        folder_of(task, method, seed, out),
    )
    ended = ended_in(path, chosen, resume=resume) is not None
    dataset = load_data(find_task(task), as_path(data_dir))
    check_protocol(chosen, dataset)
    unit = partial(training_seconds, chosen, dataset)
    epoch = Run(path).status["epoch"] if (path / "settings.json").exists() else 0
    epochs = chosen.training.epochs * chosen.num_tasks
    part = Part(f"train {method}", 1 - ended, int(ended), unit, 1 - epoch / epochs)
    radii = {method: radius_of(chosen)}
    return Plan(f"{part.name} on {task}, seed {seed}", path, [part], radii=radii)


def of_study(design: Design) -> Plan:
    """Plan a study. Tuning decides the settings of its runs, so with it none counts as there."""
    task, overrides = find_task(design.task), design.overrides({})[0]
    dataset, cells = load_data(task, as_path(design.data_dir)), design.cells(overrides)
    parts = list[Part]()
    radii: dict[str, str] = {}
    tuning = trials(design.untuned, design.grid, design.tune_seeds, design.first_trial)
    for method, values in overrides.items():
        settings = settings_for(design.task, method, 0, values)
        radii[method] = radius_of(settings)
        unit = cache(partial(training_seconds, settings, dataset))
        tried = sum(cell.method == method for cell, _ in tuning)
        kept = 0 if tuning else sum(has_ended(c.path) for c in cells if c.method == method)
        parts += [Part(f"tune {method}", tried, 0, unit)] * bool(tried)
        parts.append(Part(f"train {method}", design.seeds - kept, kept, unit))
    gradient = cache(partial(study_gradient_seconds, design, dataset))
    for name in design.asked:
        measure = measure_of(task, name, design.options)
        paths = [files_of(c.path, name) for c in cells if name in c.measures]
        question = measure, design.measured, design.batch_norm
        answered = (any(is_answered(path, *question) for path in each) for each in paths)
        kept, splits = 0 if tuning else sum(answered), 1 + (name in BESIDE)
        units = GRADIENTS[name](measure) * splits * design.askings(name)
        parts.append(Part(name, len(paths) - kept, kept, gradient, units))
    what = f"compare {len(overrides)} methods × {design.seeds} seeds on {design.task}"
    return Plan(what, design.path, parts, design.processes, radii)


def of_analysis(
    minima: Sequence[Minimum], names: Sequence[str] | None = None, options: Options | None = None,
    *, force: bool = False, to: Minimum | None = None,
) -> Plan:  # fmt: skip
    """Plan measures of each of the minima. Raises what `landscape.analyze` would raise."""
    parts, runs = dict[str, Part](), [m.run for m in minima if m.run is not None]
    gradient = cache(lambda: gradient_seconds(minima[0].objectives.train))
    for minimum in minima:
        for name, measure in measures_of(minimum, names, options or {}, runs, to).items():
            kept = not force and minimum.answered(name, measure) is not None
            splits = 1 + (name in BESIDE and minimum.has_two_splits)
            before = parts.get(name) or Part(name, 0, 0, gradient)
            parts[name] = replace(
                before,
                count=before.count + (not kept),
                kept=before.kept + kept,
                units=GRADIENTS[name](measure) * splits,
            )
    what = f"analyze {len(minima)} {'run' if runs else 'checkpoint'}{'s' * (len(minima) > 1)}"
    return Plan(what, minima[-1].folder / "records", list(parts.values()))


def of_audit(
    checkpoint: PathLike, require: Sequence[str] = (), *, baseline: PathLike | None = None,
    options: Options | None = None, checkpoint_key: str | None = None,
    out: PathLike | None = None, trust: bool = False, **sources: Any,
) -> Plan:  # fmt: skip
    """Plan `landscape.audit` with these arguments, `sources` those of `CheckpointSpec`."""
    asked = asked_for([parse(text) for text in require], options or {}, baseline is not None)
    read = partial(objectives_of, spec=CheckpointSpec(**sources), key=checkpoint_key, trust=trust)
    opened = [read(path)[0] for path in (checkpoint, baseline) if path is not None]
    gradient = cache(lambda: gradient_seconds(opened[0].train))
    costs = {name: GRADIENTS[name](measure) for name, measure in asked.items()}
    parts = [Part(name, len(opened), 0, gradient, units) for name, units in costs.items()]
    return Plan("audit", audit_folder(checkpoint, out), parts)
