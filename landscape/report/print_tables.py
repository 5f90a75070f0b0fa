"""The table of a study for a text: Markdown, and LaTeX that needs no package."""

import re

from landscape.report.contents import Contents
from landscape.report.verdict import cell
from landscape.report.wording import method_name, timing_caution
from landscape.utils.text import printable

LATEX = {
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "−": "$-$", "–": "--", "±": r"$\pm$", "▲": r"$\uparrow$", "▼": r"$\downarrow$",
    "λ": r"$\lambda$", "κ̂": r"$\hat\kappa$", "κ": r"$\kappa$", "σ": r"$\sigma$", "∇": r"$\nabla$",
    "‖": r"$\|$", "ρ": r"$\rho$", "×": r"$\times$",
}  # fmt: skip
_SIGN = re.compile("|".join(map(re.escape, sorted(LATEX, key=len, reverse=True))))
WORDS = "▲ and ▼: significantly higher and lower than {}, after Holm's correction over the methods."


def markdown(contents: Contents) -> str:
    """Methods in rows, metrics in columns; a mark where the difference to the baseline is shown."""
    head, rows = _cells(contents)
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(map(_escaped_markdown, line))} |" for line in lines)
    return f"{table}\n\n{_escaped_markdown(_note(contents))}\n"


def latex(contents: Contents) -> str:
    """The same as a tabular, every sign escaped, Greek letters and marks as formulas; what the
    marks mean, ready for a caption, is a comment above it.
    """
    head, rows = _cells(contents)
    body = " \\\\\n".join(" & ".join(map(escaped, row)) for row in rows)
    return (
        f"% {escaped(_note(contents)).encode('ascii', 'replace').decode()}\n"
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}\n\\hline\n"
        f"{' & '.join(map(escaped, head))} \\\\\n\\hline\n{body} \\\\\n\\hline\n\\end{{tabular}}\n"
    )


def escaped(words: str) -> str:
    """Words as LaTeX sets them, whatever signs they hold."""
    return _SIGN.sub(lambda match: LATEX[match[0]], printable(words))


def _cells(contents: Contents) -> tuple[list[str], list[list[str]]]:
    head = ["method", *map(contents.label, contents.computed)]
    rows = []
    for method in contents.methods:
        found = [cell(contents, metric, method) for metric in contents.computed]
        each = [f"{one.value} {one.mark}".strip() for one in found]
        rows.append([" ".join(method_name(method).split()), *each])
    return head, rows


def _note(contents: Contents) -> str:
    if contents.seeds < 2:
        return "One seed: no interval, no verdict."
    base = WORDS.format(method_name(contents.comparison.baseline))
    timing = timing_caution(contents.study) if "seconds" in contents.computed else ""
    return " ".join(f"Mean ± half of its 95 % t interval. {base} {timing}".split())


def _escaped_markdown(words: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]#&])", r"\\\1", printable(words)) if words != "---" else words
