"""The README's Python is run as it stands there, on tiny data; its commands are understood."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from landscape.measures import MEASURES
from landscape.methods import METHODS
from landscape_cli.main import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOW_TO = (ROOT / "docs" / "how-to" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^landscape .*?(?=\s{2,}#|$)", README + HOW_TO, re.MULTILINE)


def test_snippets_run_one_after_the_other(tmp_path, monkeypatch):
    """The first is complete in itself; the second goes on with its network."""
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    first, second = BLOCKS
    exec(compile(first, "README.md", "exec"), names)
    assert names["spectrum"].values.shape == names["spectrum"].bounds.shape == (5,)
    assert (names["spectrum"].bounds <= 1e-4 * names["spectrum"].values.max()).all()
    assert names["surface"].loss.shape == (21, 21)
    assert {path.name for path in Path().iterdir()} == {"surface.pdf"}
    before = names["objective"].value()
    exec(compile(second, "README.md", "exec"), names)
    assert names["value"].item() == pytest.approx(before)
    assert names["loss"](names["model"], names["ls"].Batch(*names["batches"][0])) < before


def test_the_quick_start_is_short():
    """Ten lines, and five for the loop."""
    first, second = ([line for line in block.splitlines() if line] for block in BLOCKS)
    assert len(first) <= 10
    assert len(second) <= 5


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line, tmp_path, monkeypatch):
    """Names of commands and options, up to where the work would start."""
    monkeypatch.chdir(tmp_path)
    program, name, *arguments = shlex.split(line)
    assert program == "landscape"
    typer.main.get_command(app).commands[name].make_context(name, arguments)


@pytest.mark.parametrize(("title", "known"), [("Methods", METHODS), ("Measures", MEASURES)])
def test_what_it_offers_is_what_there_is(title, known):
    listed = README.partition(f"* **{title}**: ")[2].partition(", ")[0]
    assert re.findall(r"`(.*?)`", listed) == list(known)


def test_the_first_screen_is_a_picture_a_paragraph_two_commands_and_ten_lines():
    before, quick_start = README.split("## Quick start")
    assert before.index("![") < before.index("**What kind") < before.index("make demo")
    assert before.index("make test") < before.index("```python")
    assert BLOCKS[0] in before and BLOCKS[1] in quick_start
    assert len(README.splitlines()) <= 80
