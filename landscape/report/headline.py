"""The headline: one sentence that names the methods and says what the verdicts allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from landscape.plots.drawing.prepare import plural
from landscape.records.scores import ACCURACY
from landscape.report import conditions
from landscape.report.contents import Contents
from landscape.report.verdict import Verdict, verdicts_of
from landscape.report.wording import capitalised, listed, method_name

NAMED = 8  # of more methods than these the others are named: "all but X"
SHOWN = "“Shown”: a 95 % interval without 0 and p < 0.05 after Holm’s correction."


@dataclass(frozen=True)
class Question:
    """Sentences that tell the verdicts on one metric; {who}, {is} and {base} are filled in.

    leading: the direction told first. first, second: of methods shown to lie in it, in the other
    one. also: of the second group after the first. none, instead: where no method lies in the
    leading direction, and of the second group after that. only: where nothing is shown of one
    method beside the baseline. undecided: of those of which nothing is shown, beside others.
    word: what a reader has to know of the words. again: the first group in the next clause.
    """

    leading: str
    first: str
    second: str
    also: str
    none: str
    instead: str
    only: str
    undecided: str = ""
    word: str = ""
    again: str = ""


QUESTIONS = {
    "lambda_max": Question(
        leading="lower",
        first="{who} found flatter minima than {base}",
        second="{who} found sharper minima than {base}",
        also="{who} sharper ones",
        none="no method is shown to find flatter minima than {base}",
        instead="{who} found sharper ones",
        only="{who} is not shown to find flatter or sharper minima than {base}",
        undecided="for {who} neither is shown",
        word="Flatter: a lower λ max, the largest eigenvalue of the Hessian.",
        again="the flatter ones",
    ),
    "test_accuracy": Question(
        leading="higher",
        first="{who} {is} shown to be more accurate than {base}",
        second="{who} {is} shown to be less accurate than {base}",
        also="{who} less accurate",
        none="no method is shown to be more accurate than {base}",
        instead="{who} {is} shown to be less accurate",
        only="{who} is not shown to be more or less accurate than {base}",
    ),
    "test_loss": Question(
        leading="lower",
        first="{who} {is} shown to have a lower test loss than {base}",
        second="{who} {is} shown to have a higher test loss than {base}",
        also="{who} a higher one",
        none="no method is shown to have a lower test loss than {base}",
        instead="{who} {is} shown to have a higher one",
        only="{who} is not shown to have another test loss than {base}",
    ),
}


def headline(contents: Contents) -> str:
    """Say in one sentence who is lower, who is higher, for whom neither is shown."""
    if contents.count_all("finished") == 0:
        return (
            f"No run finished ({plural(contents.count_all('diverged'), 'run')} diverged): "
            "there is nothing to compare."
        )
    if len(contents.methods) < 2:
        return f"{method_name(contents.methods[0])} alone: there is nothing to compare it with."
    if contents.seeds < 2:
        return _begun(f"{named(contents.methods, contents.methods)}, one run of each: no verdict.")
    base = method_name(contents.comparison.baseline)
    clauses, lacking = [], []
    before, again = list[str](), ""
    for metric in asked(contents):
        by_method = verdicts_of(contents.comparison, metric)
        lacking.append([m for m, v in by_method.items() if not v.judged])
        clauses.append(_clause(question_of(contents, metric), by_method, base, (before, again)))
        before = [m for m, v in by_method.items() if v.kind == QUESTIONS[metric].leading]
        again = QUESTIONS[metric].again
    told = [clause for clause in clauses if clause]
    if not told:
        return f"Too few runs finished to compare any method with {base}."
    told = [told[0], *(clause.replace(f" than {base}", "") for clause in told[1:])]
    return _begun("; ".join([*told, *_lacking(contents, asked(contents), lacking)]) + ".")


def _begun(sentence: str) -> str:
    """Begin a sentence with a capital, but for a name, which keeps its letters."""
    return capitalised(sentence) if sentence.startswith(("no ", "all ")) else sentence


def question_of(contents: Contents, metric: str) -> Question:
    """The sentences on a metric; those on a score other than the accuracy name it."""
    score = contents.study.score
    if metric != "test_accuracy" or score == ACCURACY:
        return QUESTIONS[metric]
    return Question(
        leading="higher",
        first=f"{{who}} {{is}} shown to have a higher {score} than {{base}}",
        second=f"{{who}} {{is}} shown to have a lower {score} than {{base}}",
        also="{who} a lower one",
        none=f"no method is shown to have a higher {score} than {{base}}",
        instead="{who} {is} shown to have a lower one",
        only=f"{{who}} is not shown to have another {score} than {{base}}",
    )


def definition(contents: Contents) -> str:
    """The line below the headline: task, seeds, budget, and what its words mean."""
    study = contents.study
    seeds = plural(contents.seeds, "seed")
    gone = contents.count_all("diverged") + contents.count_all("missing")
    unfinished = f", {gone} of {plural(study.status.size, 'run')} not finished" if gone else ""
    budget = conditions.budget_in_short(contents)
    parts = [f"{capitalised(study.task)}, {seeds}, {budget}{unfinished}."]
    parts += [*conditions.noise_in_short(study), *conditions.start(contents)]
    if contents.seeds < 2:
        return " ".join([*parts, "One seed: no interval, no verdict."])
    if len(contents.methods) > 1 and contents.count_all("finished"):
        parts += [QUESTIONS[metric].word for metric in asked(contents)]
        parts.append(SHOWN)
    return " ".join(filter(None, parts))


def asked(contents: Contents) -> list[str]:
    """Metrics that the headline answers: flatness, and accuracy or else the test loss."""
    outcome = "test_accuracy" if "test_accuracy" in contents.computed else "test_loss"
    return [metric for metric in ("lambda_max", outcome) if metric in contents.computed]


def beside(contents: Contents) -> str:
    """The sentence on the test loss, which the headline leaves out beside the accuracy; "" where it
    is not shown to differ for any method.
    """
    if "test_loss" not in contents.computed or "test_loss" in asked(contents):
        return ""
    by_method = verdicts_of(contents.comparison, "test_loss")
    if not any(v.kind in ("lower", "higher") for v in by_method.values()):
        return ""
    base = method_name(contents.comparison.baseline)
    clause = _clause(QUESTIONS["test_loss"], by_method, base, ([], ""))
    return f"{capitalised(clause) if clause.startswith('no ') else clause}."


def _clause(
    question: Question,
    by_method: Mapping[str, Verdict],
    base: str,
    before: tuple[Sequence[str], str],
) -> str:
    """Verdicts of one metric in words; "" where there is none. before: whom the clause before led
    with and what they are called, so that they are not named again.
    """
    everyone = list(by_method)
    second = {"lower": "higher", "higher": "lower"}[question.leading]
    first, other, undecided = (
        [m for m, v in by_method.items() if v.kind == kind]
        for kind in (question.leading, second, "undecided")
    )
    if not (first or other or undecided):
        return ""
    if first:
        told = [(question.first, first), (question.also, other)]
    elif len(everyone) == 1:
        told = [(question.second, other)] if other else [(question.only, everyone)]
    else:
        told = [(question.none, everyone), (question.instead, other)]
    if (first or other) and question.undecided:
        told.append((question.undecided, undecided))
    return ", ".join(
        words.format_map({
            "who": _again(who, *before) or named(who, everyone),
            "is": "is" if len(who) == 1 else "are",
            "base": base,
        })
        for words, who in told
        if who
    )  # fmt: skip


def _again(who: Sequence[str], before: Sequence[str], called: str) -> str:
    """ "the flatter ones but SAM", where these are almost all of them; else ""."""
    rest = [method_name(m) for m in before if m not in who]
    if len(who) < 3 or len(rest) > 2 or not set(who) <= set(before):
        return ""
    return f"{called} but {listed(rest)}" if rest else f"all {called}"


def named(who: Sequence[str], everyone: Sequence[str]) -> str:
    """Name a group of methods; a long one by those that are not in it."""
    if len(who) <= NAMED:
        return listed([method_name(m) for m in who])
    rest = [method_name(m) for m in everyone if m not in who]
    if not rest:
        return f"all {len(who)} methods"
    return f"all but {listed(rest)}" if len(rest) <= NAMED else f"{len(who)} methods"


def _lacking(
    contents: Contents, metrics: Sequence[str], lacking: Sequence[Sequence[str]]
) -> list[str]:
    """Clauses on those of whom too few runs finished, for all that is asked or for one metric."""
    everywhere = [m for m in lacking[0] if all(m in each for each in lacking)]
    clauses = [f"too few runs to tell for {named(everywhere, everywhere)}"] if everywhere else []
    for metric, who in zip(metrics, lacking, strict=True):
        only_here = [m for m in who if m not in everywhere]
        if only_here:
            label = contents.name(metric)
            clauses.append(f"too few runs to tell the {label} of {named(only_here, only_here)}")
    return clauses
