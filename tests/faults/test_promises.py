"""Every promise names a test that exists, and every file of faults keeps a promise."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISES = (ROOT / "docs" / "reference" / "promises.md").read_text()
NAMED = re.findall(r"\| `(tests/[\w/]+\.py)::(\w+)` \|$", PROMISES, re.MULTILINE)


def test_each_promise_names_a_test_that_exists():
    rows = [line for line in PROMISES.splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(NAMED) > 20
    for path, test in NAMED:
        tree = ast.parse((ROOT / path).read_text())
        assert test in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, (path, test)


def test_each_file_of_faults_keeps_a_promise():
    files = {f"tests/faults/{p.name}" for p in Path(__file__).parent.glob("test_*.py")}
    assert files - {path for path, _ in NAMED} == {"tests/faults/test_promises.py"}
