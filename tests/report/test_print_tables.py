"""The table for a text."""

import dataclasses

import pytest

from landscape.report.print_tables import escaped, latex, markdown


def test_markdown_has_a_row_per_method_and_its_marks(small):
    lines = markdown(small).splitlines()
    assert lines[0].startswith("| method | test accuracy (%) | test loss − training loss | λ max")
    assert lines[1] == "| --- | --- | --- | --- | --- |"
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| SGD", "| SAM", "| mSAM"]
    assert "▼" in lines[3] and "▼" not in lines[2]
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert "95 % t interval" in lines[-1]


def test_latex_is_a_plain_tabular(small):
    text = latex(small)
    assert "\\begin{tabular}{lrrrr}" in text and "booktabs" not in text and "rule" not in text
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert len(rows) == 4 and {row.count("&") for row in rows} == {4}
    assert r"$\lambda$ max of the Hessian" in rows[0] and r"(\%)" in rows[0]
    assert r"$\downarrow$" in rows[2] and r"$\pm$" in rows[2]
    assert text.isascii()
    assert text.startswith(r"% Mean $\pm$ half of its 95 \% t interval. $\uparrow$ and $\down")


@pytest.mark.parametrize(
    "words, expected",
    [
        ("a_b & 5%", r"a\_b \& 5\%"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("κ̂ κ ~^", r"$\hat\kappa$ $\kappa$ \textasciitilde{}\textasciicircum{}"),
        ("‖∇L‖ #1 $2$", r"$\|$$\nabla$L$\|$ \#1 \$2\$"),
    ],
)
def test_latex_signs(words, expected):
    assert escaped(words) == expected


def test_a_name_breaks_no_table(make_contents):
    evil = "a|b\n% \\def"
    contents = make_contents(("sgd", evil), 2, (), size=5, metrics=("generalisation_gap",))
    record = dataclasses.replace(contents.comparison, baseline=evil)
    contents = dataclasses.replace(contents, comparison=record)
    lines = markdown(contents).splitlines()
    assert len(lines) == 6 and lines[3].startswith(r"| a\|b\\n% \\def |")
    assert [line for line in latex(contents).splitlines() if line.startswith("%")][1:] == []
    assert r"a\textbar{}b\textbackslash{}n\% \textbackslash{}def" in latex(contents)


def test_one_seed_says_so(make_contents):
    contents = make_contents(("sgd", "sam"), 1, (), size=5, metrics=("generalisation_gap",))
    assert "One seed: no interval, no verdict." in markdown(contents)
