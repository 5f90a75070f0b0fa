"""Records to one HTML page that asks nothing of the network."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from landscape import plots
from landscape.plots.drawing.method_styles import distinct_styles
from landscape.plots.drawing.output import CONFIG
from landscape.plots.drawing.prepare import plural
from landscape.plots.drawing.style import even_columns, style_of
from landscape.records import METRICS, ComparisonRecord
from landscape.report import conditions, findings
from landscape.report.charts import chart
from landscape.report.contents import Contents, flattest_first
from landscape.report.dots import dots
from landscape.report.figures import Shown, drawable, figures
from landscape.report.groups import Group, groups
from landscape.report.headline import beside, definition, headline
from landscape.report.inline import inline_svg, variable
from landscape.report.key_numbers import key_numbers, times_words
from landscape.report.numbers import number, p_value, signed, signed_interval
from landscape.report.template import compressed, flat, read, rendered
from landscape.report.tiles import tiles
from landscape.report.verdict import COSTS, cell, verdict, verdicts_of
from landscape.report.wording import listed, method_name, timing_caution
from landscape.utils.text import printable

TABLE_COLUMNS = 7  # beside that of the methods
TONES = {  # figure -> metric whose verdicts colour its first panel
    "spectrum": "lambda_max",
    "density": "lambda_max",
    "noise": "noise_accuracy",
    "sharpness": "sharpness",
}


def render(contents: Contents) -> str:
    """The page as text: figures, styles and scripts inside; the same text for the same contents."""
    contents = flattest_first(contents)
    with distinct_styles(contents.methods):
        return page(contents, figures(contents))


def page(contents: Contents, drawn: Sequence[Shown]) -> str:
    """The page around figures that were drawn before."""
    scene = _scene(contents)
    plotly = _plotly() if scene else ""
    live = {f.name: chart(f.charted) for f in drawn if f.charted is not None}
    correlations = _correlations(contents)
    tuning = conditions.tuning_rows(contents.study)
    parts = groups(drawn)
    return rendered(
        "page.html.jinja",
        timing=timing_caution(contents.study) if "seconds" in contents.computed else "",
        scripts=_scripts(scene is not None, bool(live)),
        packed=[plotly] if plotly else [],
        plotly=compressed(plotly) if plotly else "",
        contents=contents,
        score=contents.study.score,
        title=f"{contents.study.task}: {_names(contents)}",
        sections=_sections(parts),
        headline=headline(contents),
        beside=beside(contents),
        definition=definition(contents),
        cards=key_numbers(contents),
        plot=dots(contents),
        times=times_words,
        tiles=tiles(contents),
        groups=parts,
        findings=findings.paragraphs(contents),
        compared=_compared(contents),
        compared_short=_compared_in_short(contents),
        tables=_tables(contents),
        methods=[_method(contents, method) for method in contents.methods],
        svgs={f.name: inline_svg(f.figure, f.name, f.alt) for f in drawn if f.charted is None},
        live=live,
        about=_about(contents),
        columns=even_columns,
        scene=scene,
        config=CONFIG,
        correlations=correlations,
        differences=_differences(contents),
        tuning=tuning,
        settings=conditions.settings_rows(contents),
        environment=flat(contents.environment),
    )


def _names(contents: Contents) -> str:
    count = len(contents.methods)
    return method_name(contents.methods[0]) if count == 1 else f"{count} methods compared"


def _scripts(scene: bool, live: bool) -> list[str]:
    """Scripts that the page runs at once; the scene unpacks plotly when it comes into sight."""
    scripts = ["page", *["charts"] * live, *["scene"] * scene, "table"]
    return [read(f"{name}.js") for name in scripts]


def _plotly() -> str:
    """The library of the scene."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _about(contents: Contents) -> dict[str, Any]:
    """Facts that the charts know of the methods; focus: the one in colour at first."""
    base = contents.comparison.baseline
    others = [m for m in contents.methods if m != base]
    by_figure = {
        figure: verdicts_of(contents.comparison, metric)
        for figure, metric in TONES.items()
        if metric in contents.computed
    }
    return {
        "baseline": base,
        "focus": others[0] if others else base,
        "methods": [_method(contents, method) for method in contents.methods],
        "tones": {
            figure: {m: v.kind for m, v in by_method.items() if v.mark}
            for figure, by_method in by_figure.items()
        },
    }


def _sections(parts: Sequence[Group]) -> list[tuple[str, str]]:
    """Id and title of each entry of the navigation."""
    titles = [("findings", "Finding"), *((part.id, part.title) for part in parts)]
    return [*titles, ("reproduce", "Reproduce")]


def _compared_in_short(contents: Contents) -> str:
    methods, seeds = plural(len(contents.methods), "method"), plural(contents.seeds, "seed")
    budget = conditions.budget_in_short(contents)
    return f"{contents.study.task} · {methods} × {seeds} · {budget}"


def _compared(contents: Contents) -> str:
    names = listed([method_name(method) for method in contents.methods])
    runs = contents.count_all("finished")
    total = contents.study.status.size
    seeds = plural(contents.seeds, "seed")
    first = f"{names} on the task “{contents.study.task}”, {seeds} each"
    if len(contents.methods) > 1:
        first += f", the same for all methods; {conditions.budget(contents)}"
    baseline = method_name(contents.comparison.baseline)
    first += f"; {runs} of {total} runs finished. The baseline is {baseline}."
    losses = f"Losses are mean {contents.study.loss}."
    told = [*conditions.start(contents), *conditions.sentences(contents.study)]
    return " ".join([first, *told, losses])


def _column(contents: Contents, metric: str) -> dict[str, str]:
    known = METRICS.get(metric)
    wish = {"higher": "higher is better", "lower": "lower is better"}
    return {"label": contents.label(metric), "wish": wish.get(known.better if known else "", "")}


def _tables(contents: Contents) -> list[tuple[list[dict[str, str]], list[dict[str, Any]]]]:
    """Columns and rows of each table of all numbers, none wider than a reader can follow."""
    parts = [
        contents.computed[i : i + TABLE_COLUMNS]
        for i in range(0, len(contents.computed), TABLE_COLUMNS)
    ]
    return [
        (
            [_column(contents, metric) for metric in part],
            [_row(contents, m, part) for m in contents.methods],
        )
        for part in parts or [[]]
    ]


def _row(contents: Contents, method: str, metrics: Sequence[str]) -> dict[str, Any]:
    diverged, missing = contents.count(method, "diverged"), contents.count(method, "missing")
    notes = [f"{n} of {contents.seeds} {word}" for n, word in
             ((diverged, "diverged"), (missing, "missing")) if n]  # fmt: skip
    return {
        **_method(contents, method),
        "notes": notes,
        "cells": [cell(contents, metric, method) for metric in metrics],
    }


def _method(contents: Contents, method: str) -> dict[str, Any]:
    style = style_of(method)
    return {
        "name": method,
        "label": printable(style.label),
        "colour": variable(style.colour),
        "baseline": method == contents.comparison.baseline,
    }


def _scene(contents: Contents) -> dict[str, Any] | None:
    """The surfaces for the browser, and what its controls may choose."""
    surfaces = drawable(contents)
    if not surfaces:
        return None
    figure = plots.scene(surfaces, views=True)
    marks = [trace.meta for trace in figure.data]
    choices = {key: list(dict.fromkeys(mark[key] for mark in marks)) for key in marks[0]}
    return {
        "figure": json.loads(figure.to_json()),
        "methods": [(method, method_name(method)) for method in choices["method"]],
        "splits": choices["split"],
        "quantities": choices["quantity"],
    }


def _correlations(contents: Contents) -> list[dict[str, str]]:
    record = contents.comparison
    rows: list[dict[str, str]] = []
    if not np.isfinite(record.tau).any():
        return rows
    for i, measure in enumerate(map(str, record.measures)):
        rows.append(
            {
                "label": contents.name(measure),
                "tau": _tau(record, "tau", i),
                "within": _tau(record, "within_tau", i),
                "across": _tau(record, "across_tau", i),
                "granulated": _tau(record, "granulated_tau", i),
                "words": findings.association(record, i),
            }
        )
    return rows


def _tau(record: ComparisonRecord, name: str, i: int) -> str:
    """Text of the mean τ with its interval, as far as the record knows them."""
    triple = (getattr(record, name + ending) for ending in ("", "_low", "_high"))
    tau, low, high = (math.nan if a is None else float(a[i]) for a in triple)
    return signed_interval(tau, low, high) if math.isfinite(high - low) else signed(tau, 0.1)


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
                "metric": contents.label(metric).replace("(%)", "(percentage points)"),
                "method": method_name(method),
                "difference": signed_interval(found.difference, found.low, found.high),
                "effect": number(float(record.effect_size[i, j]), 0.1),
                "t": p_value(float(record.t_p[i, j])),
                "holm": p_value(float(record.holm_p[i, j])),
                "flip": p_value(float(record.sign_flip_p[i, j])),
            }
        )
    return rows
