"""A docstring starts with a verb or the field's noun, never with a relative clause."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OPENINGS = {"What", "Where", "Of", "Who", "Whether", "As", "One", "How", "In", "That"}
ROOMS = [  # those held to the rule
    *("analysis", "auditing", "data", "linalg", "measures", "measures/curvature", "measures/space"),
    *(
        "measures/flatness",
        "measures/outputs",
        "methods",
        "methods/walker",
        "models",
        "network",
        "objective",
        "plots",
        "plots/drawing",
        "records",
    ),
    *("report", "statistics", "study", "tasks", "tasks/published", "training", "utils", ".", "cli"),
]
KINDS = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def offenders(source: str) -> list[tuple[str, str]]:
    """(name, first word) of each public docstring that begins with a forbidden word."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        name = getattr(node, "name", "module")
        if isinstance(node, KINDS) and (not name.startswith("_") or name.startswith("__")):
            first, *_ = (ast.get_docstring(node) or "-").split()
            if first.strip(",.:;?") in OPENINGS:
                wrong.append((name, first))
    return wrong


def files(room: str) -> list[Path]:
    """The modules of a room or of the command line, without those of rooms inside it."""
    folder = ROOT / room if room == "cli" else ROOT / "landscape" / room
    return sorted(folder.glob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_start_with_a_verb_or_a_noun(room):
    assert files(room)
    wrong = {path.name: offenders(path.read_text(encoding="utf-8")) for path in files(room)}
    assert not {name: words for name, words in wrong.items() if words}


@pytest.mark.parametrize("word", sorted(OPENINGS))
def test_a_planted_opening_is_seen(word):
    assert offenders(f'def f():\n    """{word} is here."""') == [("f", word)]
    assert not offenders(f'def _f():\n    """{word} is here."""')
