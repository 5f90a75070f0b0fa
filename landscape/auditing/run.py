"""An audit: measures of one checkpoint, held against thresholds that the user sets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from landscape.analysis.subject import Subject
from landscape.auditing.requirements import UNCERTAIN, Evaluation, Requirement, settings
from landscape.auditing.verdicts import Audit, Verdict
from landscape.measures import MEASURES
from landscape.utils.progress import Listener, Progress, silent

ON_UNCERTAIN = ("fail", "pass", "more")
USUAL = ("eigenvalues", "relative_flatness", "noise", "quantization", "worst_case")
MOST_DRAWS = 640


def audit(
    subject: Subject,
    requirements: Sequence[Requirement] = (),
    *,
    baseline: Subject | None = None,
    on_uncertain: str = "fail",
    options: Mapping[str, Mapping[str, Any]] | None = None,
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
    answers = _answers(subject, asked, progress, "checkpoint")
    others = None if baseline is None else _answers(baseline, asked, progress, "baseline")
    while True:
        verdicts = [_verdict(requirement, answers, others) for requirement in requirements]
        open_ = {v.requirement.quantity.measure for v in verdicts if v.outcome == UNCERTAIN}
        more = {name: own for name in open_ if (own := _doubled(asked.get(name)))}
        if on_uncertain != "more" or not more:
            return Audit(tuple(verdicts), answers, others, on_uncertain)
        asked |= more
        answers |= _answers(subject, more, progress, "checkpoint")
        if baseline is not None and others is not None:
            others |= _answers(baseline, more, progress, "baseline")


def asked_for(
    requirements: Sequence[Requirement], options: Mapping[str, Mapping[str, Any]], compared: bool
) -> dict[str, Any]:
    """What `audit` asks of a checkpoint: measures with their settings, by name."""
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
        asked[name] = MEASURES[name](**own)
    return asked


def _answers(
    subject: Subject, asked: Mapping[str, Any], progress: Listener, who: str
) -> dict[str, Any]:
    loss, accuracy = subject.test.value_and_accuracy()
    found: dict[str, Any] = {
        "evaluation": Evaluation(loss, accuracy, subject.train.summary.grad_norm)
    }
    for name, measure in asked.items():
        label = f"{who}: {name.replace('_', ' ')}"
        objective = subject.objective(name)
        found[name] = measure(objective, progress=_counter(progress, label))
    return found


def _counter(progress: Listener, label: str) -> Any:
    return lambda done, total: progress(Progress("measure", label, done, total))


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
