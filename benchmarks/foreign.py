"""Differential suite: networks, losses and batches from outside under every measure and method.

    python benchmarks/foreign.py [--only NAME ...] [--measures ...] [--methods ...] [--out FILE]

Each answer is held against a reference in plain float64 torch that shares no code with the package.
A cell is right, with its relative error, refused, with a reason, WRONG, or a crash.
"""

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import torch
from differential import CASES
from differential.case import made
from differential.measures import MEASURES
from differential.methods import METHODS
from differential.outcome import Outcome, outcome
from differential.reference import Reference, exact

import landscape as ls

Row = dict[str, Outcome]
UNTOUCHED = "model left as it was"


def measured(name: str, measures: Iterable[str]) -> Row:
    """Every measure of a case."""
    case, reference = made(CASES[name]), Reference(exact(made(CASES[name])))
    before = {key: value.clone() for key, value in case.model.state_dict().items()}
    modes = [module.training for module in case.model.modules()]
    objective: list[ls.Objective] = []

    def create() -> Iterable[tuple[bool, bool, float]]:
        options = {"logits": case.logits, "batch_norm": case.batch_norm}
        objective.append(ls.Objective(case.model, case.batches, case.loss, **options))
        yield True, True, 0.0

    created = outcome(create)
    row = {
        m: outcome(partial(MEASURES[m], objective[0], reference)) if objective else created
        for m in measures
    }

    def untouched() -> Iterable[tuple[bool, bool, float]]:
        after = case.model.state_dict()
        yield all(torch.equal(before[key], after[key]) for key in before), True, 0.0
        yield [module.training for module in case.model.modules()] == modes, True, 0.0

    return {**row, UNTOUCHED: outcome(untouched)} if row else row


def trained(name: str, methods: Iterable[str]) -> Row:
    """Every method on a case."""
    return {m: outcome(partial(METHODS[m], partial(made, CASES[name]))) for m in methods}


def table(rows: dict[str, Row], columns: Sequence[str], reasons: list[str]) -> str:
    """Markdown table; a refusal is the number of its reason, which is appended to `reasons`."""

    def cell(found: Outcome) -> str:
        if found.kind == "right":
            return f"{found.error:.0e}" if found.error else "0"
        if found.kind == "refused":
            if found.words not in reasons:
                reasons.append(found.words)
            return f"refused [{reasons.index(found.words) + 1}]"
        return f"**{found.kind}**"

    lines = [["case", *(c.replace("_", " ") for c in columns)], ["---"] * (len(columns) + 1)]
    lines += [[name, *(cell(row[c]) for c in columns)] for name, row in rows.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def faults(rows: dict[str, Row]) -> list[str]:
    """What is wrong or crashes, with its words."""
    return [
        f"* {name}, {column}: {found.kind}: {found.words}"
        for name, row in rows.items()
        for column, found in row.items()
        if found.kind in ("WRONG", "crash")
    ]


def page(measures: dict[str, Row], methods: dict[str, Row]) -> str:
    """The page of results."""
    reasons: list[str] = []
    tables = []
    for title, rows in (("Measures", measures), ("Methods", methods)):
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        if columns:
            tables.append(f"## {title}\n\n{table(rows, columns, reasons)}")
    cells = [found for row in (*measures.values(), *methods.values()) for found in row.values()]
    counts = Counter(found.kind for found in cells)
    summary = ", ".join(f"{counts[k]} {k}" for k in ("right", "refused", "WRONG", "crash"))
    wrong = [*faults(measures), *faults(methods)]
    numbered = "\n".join(f"{i}. {reason}" for i, reason in enumerate(reasons, 1)) or "None."
    return TEXT.format(
        cases=len(measures or methods), cells=len(cells), summary=summary,
        tables="\n\n".join(tables), reasons=numbered, wrong="\n".join(wrong) or "None.",
        versions=f"Python {sys.version.split()[0]}, torch {torch.__version__}",
    )  # fmt: skip


TEXT = """# Networks from outside against references

`python benchmarks/foreign.py`: {cases} networks of a few dozen parameters, with losses and batches
as people outside write them; {cells} answers, each held against plain torch in float64 that shares
no code with the package. {versions}, CPU.

{summary}.

A number is the largest relative error of an answer that is right: within 1e-6 where it is exact
(1e-8 for weights after three steps, 3 % with bfloat16 inside), within its stated bound, or within
twice the half-width of its 95 % interval where it is an estimate. Measures: loss, gradient and the
dense Hessian row by row; definitions in `differential/measures.py`. Methods: weights after three
steps with momentum and weight decay against loops in `differential/methods.py`; of LETS also the
hypergradient, of FAM κ and the derivative of κ along a line, by central differences (not with
bfloat16 inside, which has none). FAM's steps by random signs are held against SGD at λ = 0 alone.

{tables}

## What is refused, and why

{reasons}

## What is wrong or fails

{wrong}
"""


def main() -> None:
    """Run the cases asked for, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[""], help="words in the names of cases")
    parser.add_argument("--measures", nargs="*", default=list(MEASURES), choices=MEASURES)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    measures: dict[str, Row] = {}
    methods: dict[str, Row] = {}
    for name in CASES:
        if not any(word in name for word in given.only):
            continue
        started = time.perf_counter()
        measures[name] = measured(name, given.measures)
        methods[name] = trained(name, given.methods)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
        print("\n".join(faults({name: {**measures[name], **methods[name]}})), flush=True)
    text = page(measures, methods)
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
