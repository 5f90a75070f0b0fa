"""Records to one HTML page that asks nothing of the network."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from landscape import plots
from landscape.plots import output
from landscape.plots.prepare import axis_label, plural, shown
from landscape.plots.style import look
from landscape.records import METRICS, ComparisonRecord
from landscape.report import conditions, story
from landscape.report.contents import Contents
from landscape.report.figures import Shown, drawable, figures
from landscape.report.inline import inline_svg, variable
from landscape.report.numbers import listed, number, p_value, signed_interval, with_interval
from landscape.report.template import flat, rendered
from landscape.report.verdict import COSTS, verdict


def render(contents: Contents) -> str:
    """The page as text: figures, styles and scripts inside; the same text for the same contents."""
    return page(contents, figures(contents))


def page(contents: Contents, drawn: Sequence[Shown]) -> str:
    """The page around figures that were drawn before."""
    return rendered(
        "page.html.jinja",
        contents=contents,
        title=f"{contents.study.task}: {len(contents.methods)} methods compared"
        if len(contents.methods) > 1
        else f"{contents.study.task}: {story.name(contents.methods[0])}",
        headline=story.headline(contents),
        findings=story.findings(contents),
        compared=_compared(contents),
        columns=[_column(metric) for metric in contents.computed],
        rows=[_row(contents, method) for method in contents.methods],
        figures=[(f, inline_svg(f.figure, f.name, f.alt)) for f in drawn],
        scene=_scene(contents),
        correlations=_correlations(contents),
        differences=_differences(contents),
        tuning=conditions.tuning_rows(contents.study),
        settings=flat(contents.settings),
        environment=flat(contents.environment),
    )


def _compared(contents: Contents) -> str:
    names = listed([story.name(method) for method in contents.methods])
    runs = contents.count_all("finished")
    total = contents.study.status.size
    budget = "passes" if contents.study.budget == "passes" else "epochs"
    same = f"the same for all methods, and equal {budget}" if len(contents.methods) > 1 else ""
    first = (
        f"{names} on the task “{contents.study.task}”, "
        f"{plural(contents.seeds, 'seed')} each, {same}".rstrip(", ")
        + f"; {runs} of {total} runs finished. The baseline is "
        f"{story.name(contents.comparison.baseline)}."
    )
    losses = f"Losses are mean {contents.study.loss}."
    return " ".join([first, *conditions.sentences(contents.study), losses])


def _column(metric: str) -> dict[str, str]:
    known = METRICS.get(metric)
    wish = {"higher": "higher is better", "lower": "lower is better"}
    return {"label": axis_label(metric), "wish": wish.get(known.better if known else "", "")}


def _row(contents: Contents, method: str) -> dict[str, Any]:
    style = look(method)
    diverged, missing = contents.count(method, "diverged"), contents.count(method, "missing")
    notes = [f"{n} of {contents.seeds} {word}" for n, word in
             ((diverged, "diverged"), (missing, "missing")) if n]  # fmt: skip
    return {
        "label": style.label,
        "colour": variable(style.colour),
        "baseline": method == contents.comparison.baseline,
        "notes": notes,
        "cells": [_cell(contents, metric, method) for metric in contents.computed],
    }


def _cell(contents: Contents, metric: str, method: str) -> dict[str, str]:
    record = contents.comparison
    i, j = list(record.metrics).index(metric), contents.methods.index(method)
    triple = [record.mean[i, j], record.low[i, j], record.high[i, j]]
    mean, low, high = map(float, shown(metric, triple))
    found = verdict(record, metric, method)
    tone = "" if found.better is None else "better" if found.better else "worse"
    judged = metric not in COSTS and contents.seeds > 1 and found.kind != "baseline"
    return {
        "value": with_interval(mean, low, high, _typical(record, metric)),
        "mark": found.mark if judged else "",
        "words": found.words if judged else "",
        "tone": tone if judged else "",
    }


def _typical(record: ComparisonRecord, metric: str) -> float:
    i = list(record.metrics).index(metric)
    halves = shown(metric, record.high[i] - record.low[i]) / 2
    halves = halves[np.isfinite(halves) & (halves > 0)]
    return float(np.median(halves)) if halves.size else math.nan


def _scene(contents: Contents) -> Markup:
    surfaces = drawable(contents)
    if not surfaces:
        return Markup("")
    figure = plots.scene(surfaces)
    return Markup(output.scene_html(figure, "scene", whole=False, height="100%"))


def _correlations(contents: Contents) -> list[dict[str, str]]:
    record = contents.comparison
    rows: list[dict[str, str]] = []
    if not np.isfinite(record.tau).any():
        return rows
    for i, measure in enumerate(map(str, record.measures)):
        tau, low, high = float(record.tau[i]), float(record.tau_low[i]), float(record.tau_high[i])
        rows.append(
            {
                "label": METRICS[measure].label if measure in METRICS else measure,
                "tau": signed_interval(tau, low, high),
                "within": _tau(record, "within_tau", i),
                "across": _tau(record, "across_tau", i),
                "granulated": _tau(record, "granulated_tau", i),
                "words": story.association(tau, low, high),
            }
        )
    return rows


def _tau(record: ComparisonRecord, name: str, i: int) -> str:
    """One of the mean τ with its interval, as far as the record knows them."""
    triple = (getattr(record, name + ending) for ending in ("", "_low", "_high"))
    tau, low, high = (math.nan if a is None else float(a[i]) for a in triple)
    return signed_interval(tau, low, high) if math.isfinite(high - low) else number(tau, 0.1)


def _differences(contents: Contents) -> list[dict[str, str]]:
    """Every paired difference with its numbers, for who wants to check."""
    record, rows = contents.comparison, []
    for i, j in np.ndindex(record.difference.shape):
        metric, method = str(record.metrics[i]), str(record.methods[j])
        if not np.isfinite(record.difference_low[i, j]) or metric in COSTS:
            continue
        found = verdict(record, metric, method)
        rows.append(
            {
                "metric": axis_label(metric).replace("(%)", "(percentage points)"),
                "method": story.name(method),
                "difference": signed_interval(found.difference, found.low, found.high),
                "effect": number(float(record.effect_size[i, j]), 0.1),
                "t": p_value(float(record.t_p[i, j])),
                "holm": p_value(float(record.holm_p[i, j])),
                "flip": p_value(float(record.sign_flip_p[i, j])),
            }
        )
    return rows
