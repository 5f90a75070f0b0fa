"""Completion: names of the catalogue, one or several with commas between."""

import pytest

from landscape_cli import completion
from landscape_cli.completion import list_of, one_of


def test_one_name_is_completed():
    assert one_of("tasks")("dig") == ["digits", "digits-cnn", "digits-low", "digits-high"]
    assert "spectrum" in one_of("figures")("")
    assert one_of("settings", before="published:")("pub")[0].startswith("published:")


def test_the_last_of_several_names_is_completed_and_none_is_offered_twice():
    assert list_of("methods")("look") == ["lookbehind", "lookahead", "looksam"]
    assert list_of("methods")("lookbehind,look") == ["lookbehind,lookahead", "lookbehind,looksam"]
    assert list_of("measures")("noise,tr") == ["noise,trace"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("landscape train --method asa", "asam"), ("landscape plot x --kind sce", "scene"),
     ("landscape analyze x --measures noise,surf", "noise,surface"),
     ("landscape compare --task digits-c", "digits-cnn")],
)  # fmt: skip
def test_the_shell_completes(words, expected, monkeypatch, capsys):
    """What bash would be given, from the command itself."""
    from landscape_cli.main import run

    monkeypatch.setenv("_LANDSCAPE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out.split() == [expected]


def test_every_kind_has_names():
    for kind in ("methods", "tasks", "measures", "figures", "settings"):
        assert completion.names(kind)
