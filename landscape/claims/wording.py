"""Claims in words: amounts, the lines of the table, the headline. Rows are those of claims.json."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from landscape.claims.claim import table
from landscape.report.numbers import MINUS, NONE, p_value
from landscape.report.wording import listed
from landscape.statistics.claim_verdict import EXPLAINED, FAILS, HOLDS, NOT_MEASURED, UNDECIDED

Row = Mapping[str, Any]
HEAD = (
    "claim", "on", "gain in points, or ×, [95 %]", "margin", "p, Holm", "p, signs", "seeds",
    "verdict",
)  # fmt: skip
STUDY_HEAD = ("study", "methods", "seeds", "hours of training", "of tuning")
BUDGETS = {"epochs": "At equal epochs:", "grad-evals": "At equal gradient evaluations:"}
QUICK_NOTE = "Orientation only: six seeds and four trials on the digits."


def interval(row: Row, gain: Mapping[str, Any]) -> str:
    """Mean and 95 % interval in the metric's unit: points, or factors of log metrics."""
    mean, low, high = (amount(row, gain[key]) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def amount(row: Row, value: float | None) -> str:
    """A gain or a margin: "+0.31" points, or of a logarithm the factor, "×1.1"."""
    if value is None or not math.isfinite(value):
        return NONE
    words = f"×{math.exp(value):.3g}" if row["log"] else f"{100 * value:+.2f}"
    return words.replace("-", MINUS)


def lines(row: Row) -> list[tuple[str, ...]]:
    """The cells of a claim in a study: its own line, one per control, one per metric beside."""
    gain = row["gain"]
    why = f" ({row['why']})" if row["why"] else ""
    edges = "".join(
        f"; {method} chose {', '.join(values)}, on the edge of its grid"
        for method, values in row["edge"].items()
    )
    first = (
        f"{row['name']}: {row['says']}", row["words"], interval(row, gain),
        amount(row, row["margin"]).lstrip("+"),
        _p(row["holm_p"]), _p(gain["sign_flip_p"]), str(gain["n"]), f"{row['verdict']}{why}{edges}",
    )  # fmt: skip
    controls = [
        (
            f"… against {row['labels'][rival]}", "", interval(row, over), "",
            f"{_p(over['p'])}, uncorrected", _p(over["sign_flip_p"]), str(over["n"]), "control",
        )
        for rival, over in row["controls"].items()
    ]  # fmt: skip
    beside = [
        (
            f"… difference of {inside(row['labels'][metric])}", "", _beside(metric, *numbers),
            "", "", "", "", "beside",
        )
        for metric, numbers in row["beside"].items()
    ]  # fmt: skip
    return [first, *controls, *beside]


def missing(rows: Sequence[Row]) -> list[str]:
    """A line for each study that was not run, with its claims."""
    lost: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["gain"] is None:
            lost.setdefault((row["words"], row["why"]), []).append(row["name"])
    return [f"On {on}: {why} ({', '.join(names)})." for (on, why), names in lost.items()]


def markdown(rows: Sequence[Row]) -> str:
    """The tables of claims, and the list of what was not measured."""
    text = ""
    for title, body in tables(rows):
        text += f"{title}\n\n{as_markdown(HEAD, body)}\n"
    left = "".join(f"* {line}\n" for line in missing(rows))
    return text + (f"Not measured:\n\n{left}" if left else "")


def tables(rows: Sequence[Row]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Titles and lines of the table at equal epochs and of that at equal gradient evaluations."""
    titled = [
        (title, [line for row in measured(rows) if row["budget"] == budget for line in lines(row)])
        for budget, title in BUDGETS.items()
    ]
    return [(title, body) for title, body in titled if body]


def measured(rows: Sequence[Row]) -> list[Row]:
    """The rows with a gain."""
    return [row for row in rows if row["gain"] is not None]


def about_study(name: str, study: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of a study: its file and words, methods, seeds, hours of training and of tuning."""
    seeds, hours = study["seeds"], study["hours"]
    return (
        f"{name}: {study['words']}", ", ".join(study["methods"]), f"{seeds[0]}–{seeds[-1]}",
        f"{hours['training']:.2f}", f"{hours['tuning']:.2f}",
    )  # fmt: skip


def machine(environment: Mapping[str, Any]) -> str:
    """Versions and the kind of processor, in one line."""
    return ", ".join(f"{key} {value}" for key, value in sorted(environment.items()) if value)


def as_markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ("---",) * len(head), *body))


def headline(rows: Sequence[Row]) -> str:
    """Count the claims that hold, in one sentence."""
    tested = [row for row in rows if row["verdict"] != NOT_MEASURED]
    count = Counter(row["verdict"] for row in tested)
    parts = [f"{n} {words[n > 1]}" for verdict, words in SAYING.items() if (n := count[verdict])]
    names, studies = {row["name"] for row in tested}, {row["study"] for row in tested}
    count_of = f"{_count(tested, 'test')} of {_count(names, 'claim')} in {_count(studies, 'study')}"
    return f"Of {count_of}: {listed(parts) if parts else 'none is decided'}."


SAYING = {  # of one, of several
    HOLDS: ("holds here", "hold here"),
    EXPLAINED: ("holds but is explained by a control", "hold but are explained by a control"),
    FAILS: ("does not hold here", "do not hold here"),
    UNDECIDED: ("is not decided", "are not decided"),
}


def _count(things: Collection[Any], noun: str) -> str:
    plural = f"{noun.removesuffix('y')}ies" if noun.endswith("y") else f"{noun}s"
    return f"{len(things)} {noun if len(things) == 1 else plural}"


def inside(label: str) -> str:
    """A label inside a sentence: "Radius that ..." begins with a small letter."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def _beside(metric: str, *numbers: float | None) -> str:
    """Mean and interval of a metric beside: points where its margin is in points, else its unit."""
    if metric in table()["margins"]:
        return interval({"log": False}, dict(zip(("mean", "low", "high"), numbers, strict=True)))
    known = [NONE if x is None or not math.isfinite(x) else f"{x:+.3g}" for x in numbers]
    mean, low, high = (each.replace("-", MINUS) for each in known)
    return f"{mean} [{low}, {high}]"


def _p(value: float | None) -> str:
    return p_value(math.nan if value is None else value)
