"""An audit: measures of one checkpoint, held against thresholds that the user sets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from landscape.analysis.analyze import measure_with
from landscape.analysis.checkpoint_spec import CheckpointSpec, objectives_of
from landscape.analysis.minimum import counter
from landscape.analysis.subject import TrainTestObjective
from landscape.auditing.requirements import UNCERTAIN, Evaluation, Requirement, parse, settings
from landscape.auditing.verdicts import Audit, Verdict
from landscape.measures import MEASURES
from landscape.utils.names import canonical
from landscape.utils.paths import PathLike, as_path
from landscape.utils.progress import Listener, silent
from landscape.utils.progress_display import listening

ON_UNCERTAIN = ("fail", "pass", "more")
USUAL = ("eigenvalues", "relative_flatness", "noise", "quantization", "worst_case")
MOST_DRAWS = 640


Options = Mapping[str, Mapping[str, Any]]


def audit(
    checkpoint: PathLike,
    require: Sequence[str] = (),
    *,
    baseline: PathLike | None = None,
    on_uncertain: str = "fail",
    options: Options | None = None,
    examples: int | None = None,
    batch_norm: str = "stored",
    model: Any = None,
    model_args: Mapping[str, Any] | None = None,
    data: Any = None,
    data_args: Mapping[str, Any] | None = None,
    loss: Any = None,
    checkpoint_key: str | None = None,
    out: PathLike | None = None,
    trust: bool = False,
    data_dir: PathLike | None = None,
    device: str | None = None,
    parameters: str | None = None,
    command: str = "",
    progress: Listener | bool = silent,
) -> Audit:
    """Measure a checkpoint, hold it against thresholds, and write the records and the page.

        ls.audit("runs/mine", ["noise.accuracy@0.05 >= 0.9"]).passed

    checkpoint, baseline: the folder of a run, or a checkpoint, which needs model and data.
    require: thresholds; without any the usual measures are written. on_uncertain: "fail", "pass"
    or "more", see `judge`.
    options: settings of measures, {"noise": {"draws": 20}}.
    examples: of each split; default what suits a run's task, 1000 of a checkpoint.
    parameters: a pattern, "lora|head": only weights whose name it is found in; default all.
    model, data, loss: see `CheckpointSpec`; checkpoint_key: the entry with the weights, "ema".
    out: folder of audit.json, junit.xml, audit.html and the records, by default audits/NAME.
    command: what the page says it was made with.

    Raises ValueError for thresholds and settings that do not exist or apply, and for a checkpoint
    that does not fit; FileNotFoundError for missing data.
    """
    requirements = [parse(text) for text in require]
    spec = CheckpointSpec(
        model, model_args or {}, data, data_args or {}, loss, data_dir, examples, batch_norm,
        device, parameters or "",
    )  # fmt: skip
    objectives, notes = objectives_of(checkpoint, spec, key=checkpoint_key, trust=trust)
    other, of_baseline = None, tuple[str, ...]()
    if baseline is not None:
        other, of_baseline = objectives_of(baseline, spec, key=checkpoint_key, trust=trust)
    with listening(progress) as tell:
        judged = judge(
            objectives,
            requirements,
            baseline=other,
            on_uncertain=on_uncertain,
            options=options,
            progress=tell,
        )
    folder = folder_of(checkpoint, out)
    notes = (*notes, *(f"Baseline: {note}" for note in of_baseline))
    notes += () if other is None else _other_examples(objectives, other)
    about = {"checkpoint": checkpoint, "baseline": baseline, **spec.described(), "notes": notes}
    about["examples"] = {"train": objectives.train.examples, "test": objectives.test.examples}
    from landscape.auditing.page import write  # figures need matplotlib

    write(judged, folder, about=about, command=command)
    return replace(judged, folder=folder, notes=notes)


def _other_examples(new: TrainTestObjective, old: TrainTestObjective) -> tuple[str, ...]:
    """Notes on the splits whose examples are not the same for both checkpoints."""
    splits = {"training": (new.train, old.train), "test": (new.test, old.test)}
    return tuple(
        f"The two checkpoints were not measured on the same {name} examples: their changes are "
        "also those of the data. Give both the same --data."
        for name, (one, two) in splits.items()
        if one.fingerprint != two.fingerprint
    )


def folder_of(checkpoint: PathLike, out: PathLike | None) -> Path:
    """The folder of an audit: `out`, or audits/NAME."""
    return Path("audits") / as_path(checkpoint).stem if out is None else as_path(out)


def judge(
    objectives: TrainTestObjective,
    requirements: Sequence[Requirement] = (),
    *,
    baseline: TrainTestObjective | None = None,
    on_uncertain: str = "fail",
    options: Options | None = None,
    progress: Listener = silent,
) -> Audit:
    """Run the measures that the requirements name, or the usual ones, and judge.

    baseline: another checkpoint of the same architecture on the same data, for requirements that
    begin with "change."; its noise has the same draws. on_uncertain: "more" doubles the draws up
    to 640 until a requirement is decided; what then is uncertain fails, as with "fail".
    options: settings of measures, {"noise": {"draws": 20}}; levels that requirements name are
    added.

    Raises ValueError for settings out of range, for quantities that do not apply to the model and
    data, and where two checkpoints cannot be paired.
    """
    if on_uncertain not in ON_UNCERTAIN:
        raise ValueError(
            f"`on_uncertain` must be one of {', '.join(ON_UNCERTAIN)}. Got {on_uncertain!r}."
        )
    asked = asked_for(requirements, options or {}, compared=baseline is not None)
    answers = _answers(objectives, asked, progress, "checkpoint")
    others = None if baseline is None else _answers(baseline, asked, progress, "baseline")
    while True:
        verdicts = [_verdict(requirement, answers, others) for requirement in requirements]
        open_ = {v.requirement.quantity.measure for v in verdicts if v.outcome == UNCERTAIN}
        more = {name: own for name in open_ if (own := _doubled(asked.get(name)))}
        if on_uncertain != "more" or not more:
            return Audit(tuple(verdicts), answers, others, on_uncertain)
        asked |= more
        answers |= _answers(objectives, more, progress, "checkpoint")
        if baseline is not None and others is not None:
            others |= _answers(baseline, more, progress, "baseline")


def asked_for(
    requirements: Sequence[Requirement], options: Options, compared: bool
) -> dict[str, Any]:
    """Measures with their settings that an audit asks of a checkpoint, by name.

    Raises ValueError for unknown measures and settings.
    """
    options = {canonical("measure", name, MEASURES): own for name, own in options.items()}
    needed = settings(list(requirements))
    names = list(needed) if requirements else list(USUAL)
    names += [name for name in options if name not in names]
    if compared and "noise" not in names:
        names.append("noise")
    usual: dict[str, dict[str, Any]] = {"eigenvalues": {"which": "both", "k": 5}}
    asked = {}
    for name in names:
        own = {**usual.get(name, {}), **options.get(name, {})}
        for key, values in needed.get(name, {}).items():
            listed = {*own.get(key, getattr(MEASURES[name](), key)), *values}
            own[key] = tuple(sorted(listed, reverse=key == "bits"))
        asked[name] = measure_with(name, own)
    return asked


def _answers(
    objectives: TrainTestObjective, asked: Mapping[str, Any], progress: Listener, who: str
) -> dict[str, Any]:
    loss, accuracy = objectives.test.value_and_accuracy()
    answers: dict[str, Any] = {
        "evaluation": Evaluation(loss, accuracy, objectives.train.summary.grad_norm)
    }
    for name, measure in asked.items():
        tell = counter(progress, f"{who}: {name.replace('_', ' ')}")
        answers[name] = measure(objectives.objective(name), progress=tell)
    return answers


def _verdict(
    requirement: Requirement, answers: Mapping[str, Any], baseline: Mapping[str, Any] | None
) -> Verdict:
    number = requirement.found(answers, baseline)
    return Verdict(requirement, number, requirement.outcome(number))


def _doubled(measure: Any) -> Any:
    """The measure with twice its draws; None where it has none, or as many as are allowed."""
    draws = getattr(measure, "draws", None)
    if draws is None or draws >= MOST_DRAWS:
        return None
    return replace(measure, draws=min(2 * draws, MOST_DRAWS))
