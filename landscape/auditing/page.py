"""Files of an audit: audit.json for programs, junit.xml for pipelines, audit.html for people."""

import base64
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from matplotlib.figure import Figure

from landscape import plots
from landscape.auditing.badge import badge
from landscape.auditing.quantities import QUANTITIES
from landscape.auditing.requirements import CHANGE
from landscape.auditing.verdicts import Audit, Verdict, with_interval
from landscape.plots.drawing.method_styles import distinct_styles
from landscape.records import Record
from landscape.records.scores import ACCURACY, score_name, worded
from landscape.report.inline import inline_svg
from landscape.report.template import flat, rendered
from landscape.statistics.intervals import Interval
from landscape.utils import files, manifest
from landscape.utils.text import printable

SCHEMA = 1
FIGURES = {  # measure -> how to read its figure
    "noise": "The fall in accuracy or rise in loss from σ = 0 is the cost of the noise. The band "
    "is the 95 % interval over draws of the noise.",
    "quantization": "Loss and accuracy with the weights rounded to fewer bits. The change from the "
    "first point is the cost of rounding.",
    "pruning": "Loss and accuracy with the smallest weights set to zero. The change from the left "
    "end is the cost of pruning.",
    "worst_case": "The highest loss that gradient ascent found within each radius. The true worst "
    "case is at least as bad.",
    "eigenvalues": "Each marker is one eigenvalue of the Hessian. The largest is the curvature in "
    "the steepest direction; hollow markers are negative: there the loss curves down.",
}


def write(audit: Audit, folder: Path | str, *, about: Mapping[str, Any], command: str = "") -> Path:
    """Write audit.json, junit.xml, badge.svg, the records and audit.html; return the page's path.

    about: what was audited: checkpoint, model, data and how they were read, for the record.
    """
    folder = Path(folder)
    records = {name: r for name, r in audit.answers.items() if isinstance(r, Record)}
    for name, record in records.items():
        record.save(folder / "records" / f"{name}.nc")
    tree = as_tree(audit, about, command)
    files.write_json(folder / "audit.json", tree)
    files.write(folder / "junit.xml", junit(audit, str(about["checkpoint"])))
    drawn = [(name, figure) for name in records if (figure := _figure(name, audit))]
    score = score_name(records.values())
    page = rendered(
        "audit.html.jinja",
        score=score,
        title=f"Audit of {Path(str(about['checkpoint'])).name}",
        verdict=_headline(audit),
        comparison=audit.robustness,
        badge=base64.b64encode(badge(audit).encode()).decode(),
        evaluations=_evaluations(audit, about),
        verdicts=[(verdict, audit.accepts(verdict)) for verdict in audit.verdicts],
        groups=_by_measure(measured(audit)),
        figures=[
            (name.replace("_", " "), inline_svg(figure, name, words), words)
            for name, figure in drawn
            if (words := worded(FIGURES[name], score))
        ],
        notes=[*about.get("notes", ()), *_score_note(score)],
        about=flat({key: value for key, value in about.items() if key != "notes" and value}),
        environment=flat(next(iter(records.values())).provenance) if records else [],
        command=command,
    )
    files.write(folder / "audit.html", page)
    files.write(folder / "badge.svg", badge(audit))
    kept = [folder / "records" / f"{name}.nc" for name in records]
    names = ("audit.json", "junit.xml", "audit.html", "badge.svg")
    manifest.reseal(folder, [*kept, *(folder / name for name in names)])
    return folder / "audit.html"


def _score_note(score: str) -> list[str]:
    return [] if score == ACCURACY else [f"Where a requirement says accuracy, it is the {score}."]


def as_tree(audit: Audit, about: Mapping[str, Any], command: str = "") -> dict[str, Any]:
    """The audit as plain values, as audit.json holds them."""
    return {
        "kind": "audit",
        "schema": SCHEMA,
        "passed": audit.passed,
        "on_uncertain": audit.on_uncertain,
        "about": {key: value for key, value in about.items() if value not in (None, "", {}, ())},
        "command": command,
        "requirements": [_as_tree(verdict) for verdict in audit.verdicts],
        "robustness_beside_baseline": audit.robustness,
        "evaluation": vars(audit.answers["evaluation"]),
        "measured": {row["name"]: row for row in measured(audit)},
    }


def junit(audit: Audit, checkpoint: str) -> str:
    """JUnit XML: a test case for each requirement, failed where it does not hold."""
    failed = [v for v in audit.verdicts if not audit.accepts(v)]
    suite = ElementTree.Element(
        "testsuite",
        name=printable(f"landscape audit {checkpoint}"),
        tests=str(len(audit.verdicts)),
        failures=str(len(failed)),
        errors="0",
    )
    for verdict in audit.verdicts:
        name, line = printable(verdict.requirement.text), printable(verdict.line)
        case = ElementTree.SubElement(
            suite, "testcase", classname="landscape.auditing.run", name=name
        )
        if verdict in failed:
            ElementTree.SubElement(case, "failure", message=line, type=verdict.outcome)
        ElementTree.SubElement(case, "system-out").text = line
    body = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _as_tree(verdict: Verdict) -> dict[str, Any]:
    number = verdict.number
    return {
        "requirement": verdict.requirement.text,
        "outcome": verdict.outcome,
        "value": number.mean,
        "low": number.low,
        "high": number.high,
    }


def _headline(audit: Audit) -> str:
    if not audit.verdicts:
        return "Measured; no requirement was set."
    return f"{'Passed' if audit.passed else 'Not passed'}: {audit.tally('requirements')}."


def _evaluations(audit: Audit, about: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The checkpoint's loss, accuracy and gradient, and the baseline's, each with its name."""
    rows = [("", audit.answers["evaluation"])]
    if audit.baseline is not None:
        path = about.get("baseline") or ""
        who = f"Baseline {Path(str(path)).name}".strip()
        rows.append((f"{who}: ", audit.baseline["evaluation"]))
    return rows


def _by_measure(rows: list[dict[str, Any]]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Rows of `measured` under each measure's name: (quantity, value, change from the baseline)."""
    shown = {row["name"]: with_interval(row["value"], row["low"], row["high"]) for row in rows}
    names = [name for name in shown if not name.startswith(CHANGE)]
    groups = itertools.groupby(names, lambda name: QUANTITIES[name.partition("@")[0]].measure)
    return [
        (
            measure.replace("_", " ").capitalize(),
            [(name, shown[name], shown.get(CHANGE + name, "")) for name in group],
        )
        for measure, group in groups
    ]


def measured(audit: Audit) -> list[dict[str, Any]]:
    """Every single number that the records answer, with its interval; beside a baseline the
    changes, too, new minus old.
    """
    rows = []
    for name, quantity in QUANTITIES.items():
        record, old = audit.answers.get(quantity.measure), None
        if audit.baseline is not None:
            old = audit.baseline.get(quantity.measure)
        for argument in () if record is None else _arguments(record, bool(quantity.argument)):
            full = f"{name}@{argument}" if argument else name
            rows.append(_row(full, quantity.read(record, argument)))
            if old is not None:
                rows.append(_row(CHANGE + full, quantity.change_of(record, old, argument)))
    return [row for row in rows if row["value"] == row["value"]]


def _row(name: str, number: Interval) -> dict[str, Any]:
    return {"name": name, "value": number.mean, "low": number.low, "high": number.high}


def _arguments(record: Any, takes_one: bool) -> list[str]:
    """The levels, formats, fractions or radii of a record, as a requirement writes them."""
    if not takes_one:
        return [""]
    if record.kind == "quantization":
        kinds = [f"-{kind}" for kind in record.granularity]
        return [f"int{bits}{kind}" for bits in record.bits for kind in kinds]
    axes = {
        "noise": "sigma", "pruning": "fraction", "worst_case": "radius",
        "adaptive_sharpness": "radii",
    }  # fmt: skip
    axis = axes.get(record.kind, "values")
    return [f"{value:g}" for value in getattr(record, axis)]


def _figure(measure: str, audit: Audit) -> Figure | None:
    """The measure's own plot, where it has one that shows more than a single number.

    With a baseline both are drawn, on the same axes.
    """
    record = audit.answers[measure]
    plot = next((name for name, kind in plots.DRAWS.items() if kind == measure), None)
    if plot is None or measure not in FIGURES or len(_arguments(record, True)) < 2:
        return None
    drawn = {"": record}
    if audit.baseline is not None:
        drawn = {"checkpoint": record, "baseline": audit.baseline[measure]}
    with distinct_styles(list(drawn)):
        figure: Figure = plots.PLOTS[plot](drawn)
    return figure
