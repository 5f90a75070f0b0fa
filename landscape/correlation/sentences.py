"""Answers in words and as a table of text; every sentence follows the verdicts."""

from collections.abc import Sequence

from landscape.report.numbers import NONE, p_value, signed
from landscape.report.wording import listed
from landscape.statistics.granulated import DOES_NOT, PREDICTS, UNDECIDED
from landscape.statistics.grid_answers import Answer, GridAnswers
from landscape.statistics.network_table import MEASURE, quantity
from landscape.statistics.rank_correlation import RankCorrelation

HEAD = (
    "measure", "Ψ [95 %]", "null band", "worst axis ψ", "ψ > 0", "Holm p", "verdict", "τ, all",
    "τ, training loss removed",
)  # fmt: skip
DIGITS = 0.1  # of an uncertainty that shows two decimals
MOST_NAMED = 3  # measures that are not decided


def sentences(answers: GridAnswers) -> list[str]:
    """A sentence on the networks, one for each target, and advice where too many are left out."""
    there = answers.planned - len(answers.left_out)
    level = answers.about.get("level")
    stop = f" stopped at a training loss of {level:g}" if level else ""
    if "measured_after_task" in answers.about:
        stop = f" each task{stop}, measured after the first"
    lines = [f"{there} of {answers.planned} networks{',' * bool(stop)}{stop}."]
    if answers.too_many_left_out:
        lines.append(
            f"More than a tenth of the networks are left out ({len(answers.left_out)}): change the "
            "grid (learning rates, batch sizes, epochs), not the level, before reading on."
        )
    return lines + [sentence(answers, target) for target in answers.targets]


def sentence(answers: GridAnswers, target: str) -> str:
    """Say what the verdicts on one target are."""
    name = quantity(target).label.capitalize()
    by_verdict = {
        verdict: [a for a in answers.of(target, MEASURE) if a.verdict == verdict]
        for verdict in (PREDICTS, DOES_NOT, UNDECIDED)
    }
    predicting = _named(by_verdict[PREDICTS])
    parts = [f"predicted by {predicting}" if predicting else "no measure is shown to predict it"]
    if by_verdict[DOES_NOT]:
        parts.append(f"not by {_named(by_verdict[DOES_NOT])}")
    open_ones = by_verdict[UNDECIDED]
    if open_ones:
        others = f"the other {len(open_ones)}" if len(open_ones) > MOST_NAMED else _named(open_ones)
        parts.append(f"not decided for {others}")
    against = [a for a in open_ones if a.goes_against]
    if against:
        parts.append(f"significantly the other way with {_named(against)}")
    return f"{name}: {'; '.join(parts)}."


def rows(answers: GridAnswers, target: str) -> list[tuple[str, ...]]:
    """A row of text for each measure and yardstick, as `HEAD` names the columns."""
    return [_row(answer) for answer in answers.of(target)]


def table(answers: GridAnswers, target: str) -> str:
    """The rows of a target in aligned columns."""
    lines: Sequence[Sequence[str]] = [HEAD, *rows(answers, target)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(answers: GridAnswers, target: str) -> str:
    """The rows of a target as a Markdown table."""
    lines = [HEAD, ("---",) * len(HEAD), *rows(answers, target)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(answer: Answer) -> tuple[str, ...]:
    found = answer.correlations
    worst = found.worst
    low, high = found.band
    return (
        quantity(answer.measure).label,
        _interval(found.Psi),
        f"[{_two(low)}, {_two(high)}]",
        f"{worst[0]} {_two(worst[1].tau)}" if worst else "undefined",
        f"{found.share_positive:.0%}" if worst else "–",
        p_value(answer.holm_p) if answer.role == MEASURE else "–",
        answer.verdict if answer.role == MEASURE else answer.role,
        _two(found.tau.tau),
        _interval(found.partial),
    )


def _interval(found: RankCorrelation) -> str:
    """A correlation with its interval; a dash where it is not defined."""
    if not found.n:
        return NONE
    return f"{_two(found.tau)} [{_two(found.low)}, {_two(found.high)}]"


def _two(value: float) -> str:
    """Format a correlation with its sign and two decimals."""
    return signed(value, DIGITS)


def _named(answers: Sequence[Answer]) -> str:
    return listed([quantity(answer.measure).label for answer in answers]) if answers else ""
