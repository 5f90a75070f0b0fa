"""Names are text everywhere: what stands in data, checkpoints and folders steers no program."""

import csv
import dataclasses
import io
import json
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from landscape.auditing.page import junit
from landscape.plots.drawing.method_styles import style_of
from landscape.plots.drawing.output import rendered as drawn
from landscape.plots.drawing.style import sheet, text
from landscape.records import ComparisonRecord, StudyRecord
from landscape.report import print_tables, tables
from landscape.report.template import _shown
from landscape.utils.progress import Progress
from landscape.utils.text import printable, printable_lines
from landscape_cli import progress
from landscape_cli.main import run
from landscape_cli.say import say

NAMES = {
    "\x1b[31mred": r"\x1b[31mred",
    "a\u202egpj": r"a\u202egpj",
    "a\r\nerror: b": r"a\r\nerror: b",
    "\x9b2Jx": r"\x9b2Jx",
    "\u2028\u200b": r"\u2028\u200b",
    "\udc80": r"\udc80",
    "\x00\x07": r"\x00\x07",
    "λ max ± 3, naïve 名前": "λ max ± 3, naïve 名前",
    "a\N{NO-BREAK SPACE}b": "a\N{NO-BREAK SPACE}b",
}
HOSTILE = [
    "\x1b[31m",
    "a\u202eb",
    "=cmd()",
    r"$\input{x}$",
    "<script>x</script>",
    "[bold]",
    "a|b\n",
]


@pytest.mark.parametrize("name", NAMES)
def test_signs_that_steer_are_shown(name):
    assert printable(name) == NAMES[name]


def test_line_ends_are_kept_where_there_are_lines():
    assert printable_lines("a\nb\x1b") == "a\nb\\x1b"


@pytest.mark.parametrize("name", HOSTILE)
def test_the_terminal(name, capfd):
    say(f"error: {name}", err=True)
    say(name)
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == len(err.splitlines()) == 1
    assert (out + err).replace("\n", "").isprintable()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_progress(name, terminal, monkeypatch, capfd):
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with progress.shown() as listener:
        listener(Progress("train", name, 0.3, 1.0, name))
        listener(Progress("train", name, 1.0, 1.0, name))
    out = sys.stdout.getvalue() if terminal else capfd.readouterr().out
    assert "\x1b[31m" not in out.replace("\x1b[31m━", "") and "\u202e" not in out
    assert printable(name).replace(r"\x1b", "") in out.replace("\\x1b", "") or terminal


def test_tensors_of_a_checkpoint(tmp_path, capfd):
    save_file({"\x1b[31mw\u202e": torch.ones(2)}, tmp_path / "w.safetensors")
    with pytest.raises(SystemExit):
        run(["info", str(tmp_path / "w.safetensors")])
    out = capfd.readouterr().out
    assert r"\x1b[31mw\u202e" in out and "\x1b" not in out


def test_folders(tmp_path, capfd):
    with pytest.raises(SystemExit):
        run(["info", str(tmp_path / "\x1b]0;title\x07")])
    err = capfd.readouterr().err
    assert r"\x1b]0;title\x07" in err and "\x1b" not in err


@pytest.fixture
def study():
    """A study whose methods, metrics and baseline have hostile names."""
    names = np.array(HOSTILE)
    n = len(names)
    return StudyRecord(
        metrics=names, methods=names, seeds=np.arange(2), table=np.full((n, n, 2), -1.5),
        status=np.full((n, 2), "finished"), task="\x1b[31m", budget="epochs", loss="=cmd()",
    )  # fmt: skip


def comparison_of(study):
    n = len(study.methods)
    each = {
        f.name: np.full((n, n), -0.5)
        for f in dataclasses.fields(ComparisonRecord)
        if f.name in tables.STATISTICS
    }
    return SimpleNamespace(methods=study.methods, metrics=study.metrics, baseline="=cmd()", **each)


def test_no_cell_of_a_csv_is_a_formula(study):
    for content in (tables.study_csv(study), tables.comparison_csv(comparison_of(study))):
        assert content.replace("\n", "").isprintable()
        for row in csv.reader(io.StringIO(content)):
            for cell in row:
                is_number = cell.replace("-", "", 1).replace(".", "", 1).isdigit()
                assert is_number or not cell.startswith(("=", "+", "-", "@", "\t"))
        assert "-1.5" in content or "-0.5" in content


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_for_a_text(name):
    in_latex = print_tables.escaped(name)
    assert in_latex.isprintable() and "$\\input" not in in_latex and "\\input" not in in_latex
    in_markdown = print_tables._escaped_markdown(name)
    assert in_markdown.isprintable() and "<script" not in in_markdown.replace("\\<", "")


def test_figures():
    """Every name as a line, as a title, and in the foot."""
    page = sheet(None, 1, columns=1)
    for name in HOSTILE:
        page.axes[0].plot([0, 1], label=text(style_of(name).label))
    page.axes[0].set_title(text("".join(HOSTILE)))
    page.foot([*HOSTILE, "sgd"], "; ".join(HOSTILE))
    svg = drawn(page.figure, "svg")
    ElementTree.fromstring(svg)
    assert b"<script" not in svg and b"\x1b" not in svg
    drawn(page.figure, "pdf")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page(name):
    import jinja2

    page = jinja2.Environment(autoescape=True, finalize=_shown).from_string("<p>{{ name }}</p>")
    html = page.render(name=name)
    assert "<script" not in html and "\x1b" not in html and "\u202e" not in html


@pytest.mark.parametrize("name", HOSTILE)
def test_junit(name):
    verdict = SimpleNamespace(
        requirement=SimpleNamespace(text=name), line=f"{name} fails", outcome="fails"
    )
    audit = SimpleNamespace(verdicts=[verdict], accepts=lambda _: False)
    tree = ElementTree.fromstring(junit(audit, name).encode())
    assert tree.find("testcase").get("name") == printable(name)


def test_json_is_exact_and_plain(tmp_path, capfd):
    save_file({"\x1b[31mw": torch.ones(2)}, tmp_path / "w.safetensors")
    with pytest.raises(SystemExit):
        run(["info", "--json", str(tmp_path / "w.safetensors")])
    out = capfd.readouterr().out
    assert "\x1b" not in out and "\x1b[31mw" in json.loads(out)["shapes"]
